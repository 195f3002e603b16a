//! Pages and log records as they lie in the stores, damaged, with their checksums mended so that the damage is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use dosql::stores::{Batch, Caps, LogStore, MemoryLogStore, MemorySegmentStore};
use dosql::stores::{PageId, PageStore, StoreStats};
use dosql::{Database, Options, Result, Storage};
use dosql_base::{Error, checksum};
use dosql_wal::{CrashDirectory, Directory, LogPosition, RECORD_HEADER_BYTES};

use crate::crash;
use crate::input::Input;
use crate::watch::run_script;

pub(crate) const PAGE: usize = 4096;

/// A database at rest.
#[derive(Clone, Default)]
pub(crate) struct Image {
    /// Where its log goes on.
    pub(crate) log_end: u64,
    /// What is left of the log.
    pub(crate) log_rest: Vec<u8>,
    pub(crate) pages: BTreeMap<PageId, Vec<u8>>,
    meta: Vec<u8>,
}

/// A page store that starts from an image.
#[derive(Default)]
pub(crate) struct ImageStore(Mutex<Image>);

impl ImageStore {
    pub(crate) fn of(image: Image) -> Self {
        ImageStore(Mutex::new(image))
    }

    /// What it holds now.
    pub(crate) fn image(&self) -> Image {
        self.0.lock().expect("nobody panics here").clone()
    }
}

impl PageStore for ImageStore {
    fn page_size(&self) -> usize {
        PAGE
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        let image = self.0.lock().expect("nobody panics here");
        let page = image
            .pages
            .get(&id)
            .ok_or_else(|| Error::corrupt("no such page", format!("page {}", id.get())))?;
        buf.copy_from_slice(page);
        Ok(())
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        batch.check(PAGE, self.caps())?;
        let mut image = self.0.lock().expect("nobody panics here");
        for (id, bytes) in batch.puts {
            image.pages.insert(*id, bytes.to_vec());
        }
        for id in batch.frees {
            image.pages.remove(id);
        }
        image.meta = batch.meta.to_vec();
        Ok(())
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        let image = self.0.lock().expect("nobody panics here");
        Ok((!image.meta.is_empty()).then(|| image.meta.clone()))
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn caps(&self) -> Caps {
        Caps { max_meta: 64 << 10, durable: false, may_block: false }
    }
}

fn options() -> Options {
    Options { page_size: PAGE, ..Options::default() }
}

/// What a database of tables, indexes, long values and history looks like, checkpointed, and its log before that.
fn image() -> &'static (Image, Vec<u8>) {
    static IMAGE: OnceLock<(Image, Vec<u8>)> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let pages = Arc::new(ImageStore(Mutex::new(Image::default())));
        let log = Arc::new(MemoryLogStore::new());
        let storage = Storage::new(pages.clone(), log.clone(), Arc::new(MemorySegmentStore::new()));
        let db = Database::open(storage.share(), options()).expect("a new database");
        let connection = db.connect().expect("a connection");
        connection.execute_batch(SCRIPT).expect("the script runs");
        let logged = log.to_bytes();
        db.close().expect("it closes");
        let mut image = pages.0.lock().expect("nobody panics here").clone();
        image.log_end = log.stats().start.get();
        image.log_rest = log.to_bytes();
        (image, logged)
    })
}

pub(crate) const SCRIPT: &str = "
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL, d BLOB);
    CREATE TABLE u(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE INDEX i ON t(b, c);
    CREATE VIEW w AS SELECT * FROM t JOIN u ON k = b;
    INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300)
        SELECT x, 'name ' || x % 17, x / 3.0, zeroblob(x % 40) FROM n;
    INSERT INTO u SELECT 'name ' || a, hex(zeroblob(a * 30)) FROM t WHERE a < 60;
    UPDATE t SET c = c + 1 WHERE a % 3 = 0;
    DELETE FROM t WHERE a % 11 = 0;";

/// Applies the edits that an input asks for to one page, and mends its checksum. An edit of page 0 is one of the meta blob.
fn damaged(input: &mut Input<'_>) -> Image {
    let mut image = image().0.clone();
    let ids: Vec<PageId> = image.pages.keys().copied().collect();
    let pages = 1 + input.byte() % 2;
    for _ in 0..pages {
        let which = usize::from(input.byte()) % (ids.len() + 1);
        let Some(id) = ids.get(which) else {
            let at = usize::from(input.byte()) % image.meta.len();
            image.meta[at] ^= input.byte();
            continue;
        };
        let Some(page) = image.pages.get_mut(id) else { continue };
        for _ in 0..1 + input.byte() % 4 {
            // Mostly in the headers and slots, where it hurts.
            let at = match input.byte() % 4 {
                0 => input.u32() as usize % PAGE,
                1 => usize::from(input.byte()) % 64,
                _ => usize::from(input.byte()),
            };
            page[at] = input.byte();
        }
        let sum = sum_of(page, id.get());
        page[4..8].copy_from_slice(&sum.to_le_bytes());
    }
    image
}

/// A page's checksum, as docs/FORMAT.md has it.
pub(crate) fn sum_of(page: &[u8], id: u64) -> u32 {
    let seed = (id as u32) ^ ((id >> 32) as u32);
    checksum(checksum(seed, &page[..4]), &page[8..])
}

fn open(input: &mut Input<'_>) -> Result<Database> {
    let pages = Arc::new(ImageStore(Mutex::new(damaged(input))));
    let intact = &image().0;
    let log = Arc::new(MemoryLogStore::from_bytes(LogPosition::new(intact.log_end), intact.log_rest.clone()));
    Database::open(Storage::new(pages, log, Arc::new(MemorySegmentStore::new())), options())
}

/// Opens, checks and reads a database with damaged pages.
pub fn pages(data: &[u8]) {
    let mut input = Input::new(data);
    let Ok(db) = open(&mut input) else { return };
    let _ = db.verify();
    if let Ok(space) = db.keyspace("space") {
        let _ = db.write(|tx| tx.put(&space, "key", "value"));
    }
    let _ = db.checkpoint();
}

/// Runs the statements that stand behind the edits over damaged pages, then some queries and changes.
pub fn pages_sql(data: &[u8]) {
    let mut input = Input::new(data);
    let Ok(db) = open(&mut input) else { return };
    let Ok(connection) = db.connect() else { return };
    run_script(&connection, &String::from_utf8_lossy(input.rest()));
    for sql in [
        "SELECT count(*), sum(length(d)) FROM t",
        "SELECT * FROM t WHERE b = 'name 3' ORDER BY c DESC",
        "SELECT * FROM w LIMIT 20",
        "SELECT length(v) FROM u WHERE k > 'name 2'",
        "UPDATE t SET b = b || 'x' WHERE a BETWEEN 10 AND 90",
        "INSERT OR REPLACE INTO u SELECT b, d FROM t",
        "DELETE FROM t WHERE b > 'name 5'",
        "CREATE INDEX j ON t(c)",
        "DROP TABLE u",
        "PRAGMA integrity_check",
    ] {
        let _ = connection.execute(sql, ());
    }
    let _ = db.checkpoint();
}

/// Opens a log of damaged records whose checksums were mended, on an empty page store.
pub fn log(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bytes = image().1.clone();
    for _ in 0..1 + input.byte() % 4 {
        let at = input.u32() as usize % bytes.len();
        bytes[at] = input.byte();
    }
    if input.byte() % 4 != 0 {
        mend(&mut bytes);
    }
    bytes.truncate(bytes.len() - input.u32() as usize % bytes.len() * usize::from(input.byte() % 4 == 0));
    let log = Arc::new(MemoryLogStore::from_bytes(LogPosition::new(0), bytes));
    let pages = Arc::new(ImageStore(Mutex::new(Image::default())));
    let storage = Storage::new(pages, log, Arc::new(MemorySegmentStore::new()));
    let Ok(db) = Database::open(storage, options()) else { return };
    let _ = db.verify();
    if let Ok(connection) = db.connect() {
        let _ = connection.execute("SELECT count(*) FROM t JOIN u ON k = b", ());
    }
}

/// The bytes of a page file whose checksums hold but for what an input changes in its meta slots: docs/FORMAT.md.
pub fn slots(data: &[u8]) {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let directory = CrashDirectory::new();
        let storage = crash::storage(&directory, PAGE).expect("a new directory");
        let db = Database::open(storage, options()).expect("a new database");
        db.connect().expect("a connection").execute_batch(SCRIPT).expect("the script runs");
        db.close().expect("it closes");
        let names = directory.list().expect("the names");
        names.into_iter().filter_map(|name| Some((name.clone(), directory.contents(&name)?))).collect()
    });
    let mut input = Input::new(data);
    let directory = CrashDirectory::new();
    for (name, bytes) in files {
        let mut bytes = bytes.clone();
        if name == "pages" {
            for slot in [0, PAGE] {
                edit_slot(&mut bytes[slot..slot + PAGE], &mut input);
            }
        } else if input.byte() % 4 == 0 {
            let at = input.u32() as usize % bytes.len().max(1);
            bytes.truncate(at);
        }
        directory.put(name, bytes);
    }
    let opened = crash::storage(&directory, PAGE).and_then(|storage| Database::open(storage, options()));
    let Ok(db) = opened else { return };
    let _ = db.verify();
    let _ = db.checkpoint();
}

/// Changes some bytes of a meta slot, its head or its meta, and mostly mends its checksum.
fn edit_slot(slot: &mut [u8], input: &mut Input<'_>) {
    for _ in 0..input.byte() % 4 {
        let reach = if input.byte() % 2 == 0 { 64 } else { 400 };
        slot[usize::from(input.byte()) * 2 % reach] = input.byte();
    }
    let length = u32::from_le_bytes([slot[40], slot[41], slot[42], slot[43]]) as usize;
    if input.byte() % 4 != 0
        && let Some(meta) = slot.get(64..64usize.saturating_add(length))
    {
        let sum = checksum(checksum(0, &slot[..60]), meta);
        slot[60..64].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Gives every record the checksums of what it holds now, chained.
fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    let mut previous = None;
    while let Some(record) = bytes.get_mut(at..).filter(|rest| rest.len() >= RECORD_HEADER_BYTES) {
        let length = u32::from_le_bytes([record[32], record[33], record[34], record[35]]) as usize;
        let Some(body) = record.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES.saturating_add(length)) else {
            return;
        };
        let body_sum = checksum(0, body);
        record[36..40].copy_from_slice(&body_sum.to_le_bytes());
        if let Some(previous) = previous {
            record[4..8].copy_from_slice(&u32::to_le_bytes(previous));
        }
        let sum = checksum(0, &record[4..RECORD_HEADER_BYTES]);
        record[..4].copy_from_slice(&sum.to_le_bytes());
        previous = Some(sum);
        at += RECORD_HEADER_BYTES + length;
    }
}
