//! Published points: what the segment store alone is enough for.
//!
//! ```text
//! image     the pages as of a commit, as objects; segments are named, not copied
//! row       "p" | number u64 BE -> moment | count, images | count, names of segments      nothing of these goes while it stands
//! manifest  PREFIX-manifest-NUMBER, created last and never overwritten
//! ```
//!
//! ```text
//! manifest   magic "DSQP" | format u16 | page size u32 | number u64 | moment u64 | database 16
//!            | varint length, meta blob of the pages | count, image parts | checksum u32
//! ```
//!
//! Numbers count up. Two owners of what was one database come to the same number sooner or later; the second to get there finds it taken,
//! and is told that it is fenced off. It has deleted nothing by then that the other relies on: segments that a published point names go only when
//! a later one is published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp, checksum};
use dosql_btree::{PageSnapshot, Root};
use dosql_lsm::{SegmentStore, put_idempotent};
use dosql_wal::MemoryLogStore;

use super::image::{ImagePages, ImagePart, ImageWriter};
use super::prefix_of;
use crate::backup::{self, Identity};
use crate::database::Database;
use crate::engine::Engine;
use crate::options::Options;
use crate::storage::Storage;

const MAGIC: &[u8; 4] = b"DSQP";
const FORMAT: u16 = 1;
/// What stands between the prefix of a database and the number of a published point.
const MANIFEST: &str = "manifest-";
/// A manifest is read whole; no longer one is believed.
const MAX_MANIFEST: u64 = 64 << 20;

/// A published point, as its row has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Published {
    pub(crate) at: Timestamp,
    images: Vec<String>,
    segments: BTreeSet<String>,
}

/// All of them by number. Changed under the committer only.
pub(crate) type AllPublished = BTreeMap<u64, Published>;

impl Published {
    const PREFIX: &[u8] = b"p";

    pub(crate) fn key(number: u64) -> Vec<u8> {
        [Published::PREFIX, &number.to_be_bytes()].concat()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.at.as_micros());
        put_varint(&mut out, self.images.len() as u64);
        self.images.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
        put_varint(&mut out, self.segments.len() as u64);
        self.segments.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Published> {
        let mut reader = Reader::new(bytes, "the row of a published point");
        let at = Timestamp::from_micros(reader.varint()?);
        let mut published = Published { at, ..Published::default() };
        for _ in 0..reader.varint()? {
            published.images.push(reader.str()?.to_owned());
        }
        for _ in 0..reader.varint()? {
            published.segments.insert(reader.str()?.to_owned());
        }
        reader.finish()?;
        Ok(published)
    }

    pub(crate) fn load(pages: &PageSnapshot, system: Root) -> Result<AllPublished> {
        let mut all = AllPublished::new();
        let mut cursor = pages.cursor(system);
        let mut found = cursor.seek(Published::PREFIX)?;
        while found && let Some(number) = cursor.key().strip_prefix(Published::PREFIX) {
            let wrong = |_| Error::corrupt("the key of a published point is not well formed", "system tree");
            let number = u64::from_be_bytes(number.try_into().map_err(wrong)?);
            all.insert(number, Published::decode(cursor.value()?)?);
            found = cursor.next()?;
        }
        Ok(all)
    }

    /// The objects that it keeps from being deleted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.images.iter().chain(&self.segments)
    }
}

/// What a manifest in the store says.
#[derive(Debug, PartialEq)]
struct Manifest {
    page_size: usize,
    number: u64,
    at: Timestamp,
    database: [u8; 16],
    meta: Vec<u8>,
    parts: Vec<ImagePart>,
}

impl Manifest {
    fn name(database: &[u8; 16], number: u64) -> String {
        format!("{}{MANIFEST}{number:020}", prefix_of(database))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&(self.page_size as u32).to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.at.as_micros().to_le_bytes());
        out.extend_from_slice(&self.database);
        put_bytes(&mut out, &self.meta);
        put_varint(&mut out, self.parts.len() as u64);
        self.parts.iter().for_each(|part| part.encode(&mut out));
        let sum = checksum(0, &out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], name: &str) -> Result<Manifest> {
        let wrong = |what: &str| Error::corrupt(what, name);
        let body = bytes.len().checked_sub(4).ok_or_else(|| wrong("the manifest ends too early"))?;
        if checksum(0, &bytes[..body]).to_le_bytes() != bytes[body..] {
            return Err(wrong("the checksum of the manifest does not match"));
        }
        let mut reader = Reader::new(&bytes[..body], "a published manifest");
        if reader.take(4)? != MAGIC {
            return Err(wrong("the object is no manifest"));
        }
        let format = reader.u16()?;
        if format > FORMAT {
            let message = format!(
                "the manifest has format {format}, this version reads up to {FORMAT}; use a newer one"
            );
            return Err(Error::unsupported(message));
        }
        let page_size = reader.u32()? as usize;
        let (number, at) = (reader.u64()?, Timestamp::from_micros(reader.u64()?));
        let mut database = [0; 16];
        database.copy_from_slice(reader.take(16)?);
        let meta = reader.bytes()?.to_vec();
        let mut parts = Vec::new();
        let mut next = 0;
        for _ in 0..reader.varint()? {
            let part = ImagePart::decode(&mut reader)?;
            next = part.after(next).ok_or_else(|| wrong("the manifest names impossible pages"))?;
            parts.push(part);
        }
        reader.finish()?;
        if !page_size.is_power_of_two() || !(4 << 10..=64 << 10).contains(&page_size) {
            return Err(wrong("the manifest names a page size that there is not"));
        }
        Ok(Manifest { page_size, number, at, database, meta, parts })
    }

    /// Reads the whole object, whose length nobody knows: doubles what it asks for until that is too much.
    fn read(store: &dyn SegmentStore, name: &str) -> Result<Manifest> {
        let there = |len: u64| match store.read(name, 0..len) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        };
        let (mut low, mut high) = (0u64, 4096u64);
        while there(high)? {
            (low, high) = (high, high * 2);
            if high > MAX_MANIFEST {
                return Err(Error::corrupt("a manifest is too long", name));
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if there(middle)? { low = middle } else { high = middle }
        }
        Manifest::decode(&store.read(name, 0..low)?, name)
    }
}

/// A point at which a database was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedPoint {
    /// Its number: later points have greater ones.
    pub number: u64,
    /// What was committed up to here is in it.
    pub at: Timestamp,
    /// The database.
    pub database: [u8; 16],
}

impl Engine {
    /// Publishes what readers see now; returns the moment.
    pub(crate) fn publish(&self) -> Result<Timestamp> {
        self.check_writable()?;
        self.upgrade_format()?;
        let _one = self.publishing.lock();
        self.list_and_check_not_fenced()?;
        self.checkpoint()?;
        let views = self.visible_views();
        let at = views.iter().map(|(_, view)| view.timestamp).max().unwrap_or(Timestamp::ZERO);
        let number = self.published.lock().keys().next_back().map_or(1, |last| last + 1);
        let image = ImageWriter::new(&self.tier, self.pages.page_size());
        let (log, segments) = (Arc::new(MemoryLogStore::new()), self.tier.store.clone());
        let target = Storage::new(image.clone(), log, segments);
        backup::fill(
            self,
            at,
            &views,
            &target,
            &Identity::Same(AllPublished::from([(number, Published::default())])),
        )?;
        let (parts, meta) = image.take();
        let (images, segments) = (parts.iter().map(|part| part.name.clone()).collect(), named(&views));
        // From here on what it needs stays, be the manifest stored or not.
        if !weakened("published-point-not-noted") {
            self.note_published(number, Published { at, images, segments })?;
        }
        drop(views);
        let (page_size, database) = (self.pages.page_size(), self.database);
        let manifest = Manifest { page_size, number, at, database, meta, parts };
        put_idempotent(&*self.tier.store, &Manifest::name(&database, number), &manifest.encode())
            .map_err(|error| if error.kind() == ErrorKind::Conflict { fenced() } else { error })?;
        self.forget_published(number)?;
        Ok(at)
    }

    /// Fails where somebody else has published this database since: the store lists a later point than we know, or our last number is taken.
    pub(super) fn check_not_fenced(&self, listed: &[String]) -> Result<()> {
        if weakened("fence-not-looked-at") {
            return Ok(());
        }
        let number = |name: &String| -> Option<u64> {
            name.strip_prefix(self.tier.prefix())?.strip_prefix(MANIFEST)?.parse().ok()
        };
        let last = self.published.lock().last_key_value().map(|(number, row)| (*number, row.clone()));
        let (ours, row) = last.unwrap_or_default();
        let latest = listed.iter().filter_map(number).max().unwrap_or(0);
        // A number without images is where a restored database, or an erased one, goes on from.
        if latest > ours || latest == ours && !row.images.is_empty() && !self.is_manifest_of(ours, &row)? {
            return Err(fenced());
        }
        Ok(())
    }

    /// Whether the manifest of this number is of the point that `row` notes, not of another owner's.
    fn is_manifest_of(&self, number: u64, row: &Published) -> Result<bool> {
        let manifest = Manifest::read(&*self.tier.store, &Manifest::name(&self.database, number))?;
        Ok(manifest.parts.iter().map(|part| &part.name).eq(&row.images))
    }

    fn list_and_check_not_fenced(&self) -> Result<()> {
        self.check_not_fenced(&self.tier.store.list(self.tier.prefix())?)
    }

    /// Writes the row of a published point; durable when it returns.
    fn note_published(&self, number: u64, published: Published) -> Result<()> {
        self.change_published(|all| drop(all.insert(number, published)))
    }

    /// Forgets the points before the last that are older than the retention; their manifests go first.
    fn forget_published(&self, last: u64) -> Result<()> {
        let oldest = self.env.now().as_micros().saturating_sub(self.options.retention);
        let is_old = |(number, it): &(&u64, &Published)| **number < last && it.at.as_micros() < oldest;
        let old: Vec<u64> = self.published.lock().iter().filter(is_old).map(|(number, _)| *number).collect();
        self.forget_points(&old)
    }

    /// Takes all published points back. Their numbers are not used again.
    pub(crate) fn forget_all_published(&self) -> Result<()> {
        let all: Vec<u64> = self.published.lock().keys().copied().collect();
        let shown = self.published.lock().values().any(|point| !point.images.is_empty());
        if let Some(last) = all.last().filter(|_| shown) {
            self.list_and_check_not_fenced()?;
            self.note_published(last + 1, Published::default())?;
            self.forget_points(&all)?;
        }
        Ok(())
    }

    fn forget_points(&self, old: &[u64]) -> Result<()> {
        if old.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = old.iter().map(|number| Manifest::name(&self.database, *number)).collect();
        self.tier.store.delete(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut images = Vec::new();
        self.change_published(|all| {
            for number in old {
                images.extend(all.remove(number).map(|gone| gone.images).unwrap_or_default());
            }
        })?;
        self.tier.abandon(images);
        self.delete_unneeded()?;
        Ok(())
    }

    /// Changes the rows, and makes that durable.
    fn change_published(&self, change: impl FnOnce(&mut AllPublished)) -> Result<()> {
        {
            let mut committer = self.committer();
            let before = self.published.lock().clone();
            let mut after = before.clone();
            change(&mut after);
            self.rearrange(&mut committer, |writer, version, system| {
                for number in before.keys().filter(|number| !after.contains_key(number)) {
                    writer.remove(system, &Published::key(*number))?;
                }
                for (number, row) in after.iter().filter(|(number, _)| !before.contains_key(number)) {
                    writer.set(system, &Published::key(*number), version, &row.encode())?;
                }
                Ok(())
            })?;
            *self.published.lock() = after;
        }
        let _one = self.checkpointing.lock();
        self.force_checkpoint()
    }
}

/// The names of the segments that views see.
fn named(views: &backup::Views) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, view) in views {
        names.extend(view.history.runs.iter().flat_map(|run| run.segments()).map(|it| it.name.clone()));
        let live = view.beneath.iter().flat_map(|beneath| beneath.own.segments());
        names.extend(live.map(|it| it.segment.name.clone()));
    }
    names
}

fn fenced() -> Error {
    let message = "another owner has published this database since; close it, and restore it from there if that is wanted";
    Error::new(ErrorKind::Fenced, Code::Fenced, message)
}

/// The points at which databases were published to `store`, in order; of one database if that is given. Reads the end of each.
pub(crate) fn list(store: &Arc<dyn SegmentStore>, of: Option<[u8; 16]>) -> Result<Vec<PublishedPoint>> {
    let prefix = of.map_or_else(String::new, |database| prefix_of(&database));
    let mut names = store.list(&prefix)?;
    names.retain(|name| name.get(PREFIX_LEN..).is_some_and(|rest| rest.starts_with(MANIFEST)));
    names.sort();
    let point = |name: &String| {
        let Manifest { number, at, database, .. } = Manifest::read(&**store, name)?;
        Ok(PublishedPoint { number, at, database })
    };
    names.iter().map(point).collect()
}

/// The length of what names of a database begin with.
const PREFIX_LEN: usize = 33;

/// Stores to read a published point from: the last at or before `at`.
pub(crate) fn stores(
    store: Arc<dyn SegmentStore>,
    of: Option<[u8; 16]>,
    at: Option<Timestamp>,
) -> Result<(Storage, PublishedPoint)> {
    let points = list(&store, of)?;
    if let Some(other) =
        points.iter().find(|point| Some(point.database) != points.first().map(|it| it.database))
    {
        let message = format!(
            "several databases are published here, {} for one; say which is meant",
            prefix_of(&other.database).trim_end_matches('-')
        );
        return Err(Error::invalid(message));
    }
    let point = points.into_iter().rfind(|point| at.is_none_or(|at| point.at <= at)).ok_or_else(|| {
        Error::invalid(match at {
            Some(at) => format!("nothing was published here at or before {at}"),
            None => "nothing was published here".to_owned(),
        })
    })?;
    let manifest = Manifest::read(&*store, &Manifest::name(&point.database, point.number))?;
    Ok((stores_of(store, manifest), point))
}

fn stores_of(store: Arc<dyn SegmentStore>, manifest: Manifest) -> Storage {
    let pages = ImagePages::new(Arc::clone(&store), manifest.page_size, manifest.parts, manifest.meta);
    Storage::new(Arc::new(pages), Arc::new(MemoryLogStore::new()), store)
}

/// Opens a published point for reading.
pub(crate) fn attach(
    store: Arc<dyn SegmentStore>,
    of: Option<[u8; 16]>,
    at: Option<Timestamp>,
    options: Options,
) -> Result<(Database, PublishedPoint)> {
    let (storage, point) = stores(store, of, at)?;
    Ok((Database::open(storage, Options { read_only: true, ..options })?, point))
}

/// Rebuilds the stores of a database from a published point. Where they share its segments it goes on as the same database.
pub(crate) fn restore(
    store: Arc<dyn SegmentStore>,
    of: Option<[u8; 16]>,
    at: Option<Timestamp>,
    target: &Storage,
    options: Options,
) -> Result<PublishedPoint> {
    let shared = Arc::ptr_eq(&store, &target.segments);
    let (database, point) = attach(Arc::clone(&store), of, at, options.clone())?;
    let engine = &database.0;
    backup::check_fits(engine, target)?;
    let views = engine.visible_views();
    // What it deletes from now on must not be what a point needs, that which it comes from before all.
    let identity = match shared {
        true => Identity::Same(all_of(&store, point.database, &options)?),
        false => Identity::new(engine, target),
    };
    let upto = views.iter().map(|(_, view)| view.timestamp).max().unwrap_or(Timestamp::ZERO);
    backup::fill(engine, upto, &views, target, &identity)?;
    backup::verify(engine, &views, target)?;
    Ok(point)
}

/// The rows of all points of a database, as their owner had them. Opens each of them; of one that is damaged nothing is known but its images.
fn all_of(store: &Arc<dyn SegmentStore>, database: [u8; 16], options: &Options) -> Result<AllPublished> {
    let mut all = AllPublished::new();
    for PublishedPoint { number, at, .. } in list(store, Some(database))? {
        let manifest = Manifest::read(&**store, &Manifest::name(&database, number))?;
        let images = manifest.parts.iter().map(|part| part.name.clone()).collect();
        let storage = stores_of(Arc::clone(store), manifest);
        let segments = match Database::open(storage, Options { read_only: true, ..options.clone() }) {
            Ok(point) => named(&point.0.visible_views()),
            Err(error) if error.kind() == ErrorKind::Corrupt => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        all.insert(number, Published { at, images, segments });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_and_the_row_of_a_point_read_back_and_damage_is_noticed() {
        let manifest = Manifest {
            page_size: 8192,
            number: 3,
            at: Timestamp::from_micros(77),
            database: [9; 16],
            meta: vec![1, 2, 3],
            parts: Vec::new(),
        };
        let bytes = manifest.encode();
        assert_eq!(&bytes[..6], b"DSQP\x01\0");
        assert_eq!(Manifest::decode(&bytes, "m").unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged, "m").is_err(), "byte {at}");
            assert!(Manifest::decode(&bytes[..at], "m").is_err(), "{at} bytes");
        }
        let row = Published {
            at: Timestamp::from_micros(300),
            images: vec!["i".to_owned()],
            segments: BTreeSet::from(["s".to_owned()]),
        };
        assert_eq!(row.encode(), b"\xAC\x02\x01\x01i\x01\x01s");
        assert_eq!(Published::decode(&row.encode()).unwrap(), row);
        assert!(Published::decode(&row.encode()[..4]).is_err());
    }
}
