//! Databases with rows and history in segments and a published point, damaged where rows of the system tree and the manifest say what lies
//! where, with their checksums mended so that the damage is read.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use dosql::stores::{LogStore, MemoryLogStore, MemoryPageStore, MemorySegmentStore, PageId, SegmentStore};
use dosql::{Database, Env, Limits, Maintenance, ManualClock, Options, SeededEntropy, Storage, Timestamp};
use dosql_base::checksum;
use dosql_wal::{CrashDirectory, Directory, LogPosition};

use crate::crash::CrashSegments;
use crate::input::Input;
use crate::stored::{Image, ImageStore, PAGE, SCRIPT, sum_of};

/// Bytes before and after an object's name in a page within which the rest of its row lies.
const NEAR: usize = 96;
/// Bytes of the checksum at the end of a manifest.
const SUM: usize = 4;

/// Such a database at rest.
struct Cold {
    pages: Image,
    objects: BTreeMap<String, Vec<u8>>,
    /// Where names of objects stand in pages.
    named: Vec<(PageId, usize)>,
}

fn options(seed: u64) -> Options {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    Options {
        page_size: PAGE,
        hot_budget: 1,
        segment_bytes: 4 << 10,
        maintenance: Maintenance::Caller,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(seed)))),
        limits: Limits { history_runs: 1, ..Limits::default() },
        ..Options::default()
    }
}

fn image() -> &'static Cold {
    static COLD: OnceLock<Cold> = OnceLock::new();
    COLD.get_or_init(|| make().expect("a new database takes all this"))
}

fn make() -> dosql::Result<Cold> {
    let pages = Arc::new(ImageStore::default());
    let (log, directory) = (Arc::new(MemoryLogStore::new()), CrashDirectory::new());
    let segments = Arc::new(CrashSegments(directory.clone()));
    let db = Database::open(Storage::new(pages.clone(), log.clone(), segments), options(1))?;
    let connection = db.connect()?;
    connection.execute_batch(SCRIPT)?;
    while !db.maintain(1usize << 20)?.done {}
    connection.execute_batch(
        "UPDATE t SET b = b || 'x' WHERE a % 2 = 0; DELETE FROM t WHERE a % 7 = 0; CREATE FEED f",
    )?;
    db.checkpoint()?;
    while !db.maintain(1usize << 20)?.done {}
    db.publish()?;
    drop(connection);
    db.close()?;
    let prefix: String = db.id().iter().map(|byte| format!("{byte:02x}")).collect();
    let names = directory.list()?;
    let objects: BTreeMap<_, _> =
        names.into_iter().filter_map(|name| Some((name.clone(), directory.contents(&name)?))).collect();
    let mut image = pages.image();
    image.log_end = log.stats().start.get();
    image.log_rest = log.to_bytes();
    let named = image.pages.iter().flat_map(|(id, page)| {
        let places =
            page.windows(prefix.len()).enumerate().filter(|(_, window)| *window == prefix.as_bytes());
        places.map(|(at, _)| (*id, at)).collect::<Vec<_>>()
    });
    let named: Vec<_> = named.collect();
    assert!(named.len() > 3 && objects.len() > 3, "segments are named and there");
    Ok(Cold { named, objects, pages: image })
}

/// Changes what an input says: pages near the names of objects, manifests, or any object.
fn damaged(input: &mut Input<'_>) -> (Image, BTreeMap<String, Vec<u8>>) {
    let Cold { pages, objects, named } = image();
    let (mut pages, mut objects) = (pages.clone(), objects.clone());
    for _ in 0..1 + input.byte() % 5 {
        match input.byte() % 4 {
            0 | 1 => {
                let (id, name) = named[usize::from(input.byte()) % named.len()];
                let Some(page) = pages.pages.get_mut(&id) else { continue };
                let at =
                    (name + usize::from(input.byte()) % (2 * NEAR)).saturating_sub(NEAR / 2).min(PAGE - 1);
                page[at] = input.byte();
                let sum = sum_of(page, id.get());
                page[4..8].copy_from_slice(&sum.to_le_bytes());
            }
            kind => {
                let which = usize::from(input.byte());
                let wanted = |name: &String| kind == 3 || name.contains("manifest");
                let some: Vec<String> = objects.keys().filter(|name| wanted(name)).cloned().collect();
                let Some(bytes) = objects.get_mut(&some[which % some.len()]) else { continue };
                let body = bytes.len() - SUM;
                let at = input.u32() as usize % body;
                bytes[at] = input.byte();
                if kind == 2 {
                    let sum = checksum(0, &bytes[..body]);
                    bytes[body..].copy_from_slice(&sum.to_le_bytes());
                }
            }
        }
    }
    (pages, objects)
}

/// Opens, reads, tidies up, publishes, attaches to and rebuilds such a database.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let (pages, objects) = damaged(&mut input);
    let memory = Arc::new(MemorySegmentStore::new());
    for (name, bytes) in &objects {
        memory.put(name, bytes).expect("a new name");
    }
    let segments: Arc<dyn SegmentStore> = memory;
    if let Ok(points) = Database::published(&segments, None) {
        for point in points {
            let (store, database) = (Arc::clone(&segments), Some(point.database));
            let _ = Database::attach(store, database, Some(point.at), options(2)).map(|db| read(&db));
            let (pages, log) = (Arc::new(MemoryPageStore::new(PAGE)), Arc::new(MemoryLogStore::new()));
            let target = Storage::new(pages, log, Arc::clone(&segments));
            let _ = Database::restore(Arc::clone(&segments), database, None, &target, options(3));
        }
    }
    let log = MemoryLogStore::from_bytes(LogPosition::new(pages.log_end), pages.log_rest.clone());
    let storage = Storage::new(Arc::new(ImageStore::of(pages)), Arc::new(log), segments);
    let Ok(db) = Database::open(storage, options(4)) else { return };
    read(&db);
    let _ = db.write(|tx| tx.put(&db.keyspace("space")?, "key", "value"));
    let _ = db.maintain(1usize << 20);
    let _ = db.checkpoint();
    let _ = db.collect_orphans();
    let _ = db.publish();
    read(&db);
}

fn read(db: &Database) {
    let _ = db.verify();
    let _ = db.segments();
    let _ = db.storage();
    let Ok(connection) = db.connect() else { return };
    for sql in [
        "SELECT count(*), sum(length(d)) FROM t",
        "SELECT * FROM t WHERE a BETWEEN 20 AND 60 ORDER BY c DESC",
        "SELECT count(*), min(row_start_lsn) FROM t FOR SYSTEM_TIME ALL",
    ] {
        let _ = connection.execute(sql, ());
    }
}
