//! Published points: what the segment store alone is enough for.
//!
//! ```text
//! image     the pages as of a commit, as objects; segments are named, not copied
//! row       "p" | number u64 BE -> moment | count, images | count, names of segments      nothing of these goes while it stands
//! manifest  PREFIX-manifest-NUMBER, created last and never overwritten
//! ```
//!
//! Numbers count up. Two owners of what was one database come to the same number sooner or later; the second to get there finds it taken,
//! and is told that it is fenced off. It has deleted nothing by then that the other relies on: segments that a published point names go only when
//! a later one is published.

use std::collections::BTreeSet;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_lsm::{SegmentStore, put_idempotent};
use dosql_wal::MemoryLogStore;

use super::image::{ImagePages, ImageWriter};
use super::prefix_of;
use super::published::{AllPublished, MANIFEST, Manifest, Published};
use crate::backup::{self, Identity};
use crate::database::Database;
use crate::engine::Engine;
use crate::options::Options;
use crate::storage::Storage;

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
        // Whoever goes on from this point goes on from its number.
        let identity = Identity::Same(AllPublished::from([(number, Published::default())]));
        backup::fill(self, at, &views, &target, &identity)?;
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
