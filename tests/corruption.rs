//! Every byte of the files, turned over: the right rows come back, or an error that says what is wrong. Never wrong rows, never
//! a panic.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(clippy::disallowed_methods, reason = "the sweep's density comes from the environment")]

mod common;

use common::crash::storage;
use dosql::{Database, ErrorKind, Keyspace, Options, Result, Timestamp};
use dosql_wal::{CrashDirectory, Directory, Surviving};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Every so many bytes of the parts that are looked at by sample only.
fn stride() -> usize {
    std::env::var("DOSQL_CORRUPTION_STRIDE").map_or(211, |stride| stride.parse().unwrap())
}

fn open(directory: &CrashDirectory) -> Result<Database> {
    let options =
        Options { page_size: 4096, log_limit: u64::MAX, dirty_bytes: usize::MAX, ..Options::default() };
    Database::open(storage(directory, options.page_size)?, options)
}

/// A database with a checkpoint, history in a run, and commits in the log after it.
fn build(directory: &CrashDirectory) -> Vec<(Timestamp, Rows)> {
    let db = open(directory).unwrap();
    let space = db.keyspace("space").unwrap();
    let mut states = Vec::new();
    for n in 0..24u32 {
        db.write(|tx| {
            for key in 0..6 {
                tx.put(&space, (n / 2 + key).to_be_bytes(), vec![n as u8; 10 + 40 * key as usize])?;
            }
            if n == 5 || n == 20 {
                tx.put(&space, "large", vec![n as u8; 9_000])?;
            }
            tx.delete(&space, (n / 3).to_be_bytes())
        })
        .unwrap();
        states.push((db.last_commit(), rows(&db.read().unwrap(), &space).unwrap()));
        if n == 7 || n == 15 {
            db.checkpoint().unwrap();
        }
    }
    states
}

fn rows(read: &dosql::ReadTransaction, space: &Keyspace) -> Result<Rows> {
    read.iter(space)?.collect()
}

/// Opens the database and reads all of it, now and then. An error is fine; wrong rows are not.
fn read_everything(directory: &CrashDirectory, states: &[(Timestamp, Rows)]) -> Result<()> {
    let db = open(directory)?;
    let space = db.keyspace("space")?;
    let (last, now) = states.last().unwrap();
    assert_eq!(db.last_commit(), *last);
    assert_eq!(rows(&db.read()?, &space)?, *now);
    for (at, then) in states {
        assert_eq!(rows(&db.read_at(*at)?, &space)?, *then, "as of {at}");
    }
    let report = db.verify()?;
    assert!(report.is_sound(), "all rows are right, but: {:?}", report.problems);
    Ok(())
}

/// The files of the database, and a copy of it with one of them replaced.
fn files(directory: &CrashDirectory) -> Vec<(String, Vec<u8>)> {
    let names = directory.list().unwrap();
    names.into_iter().map(|name| (name.clone(), directory.contents(&name).unwrap())).collect()
}

fn with_file(original: &CrashDirectory, name: &str, bytes: Vec<u8>) -> CrashDirectory {
    let damaged = original.survivor(Surviving::Everything);
    damaged.put(name, bytes);
    damaged
}

/// Reads everything; whatever fails must say that the stored bytes are wrong. Tells whether anything failed.
fn read_damaged(damaged: &CrashDirectory, states: &[(Timestamp, Rows)], place: &str) -> bool {
    let read = || read_everything(damaged, states);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    let Err(error) = read.unwrap_or_else(|_| panic!("{place}")) else { return false };
    let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::InvalidInput];
    assert!(kinds.contains(&error.kind()), "{place}: {error:?}");
    true
}

/// Where to flip: the first bytes of every 4 KiB (headers), a sample of the rest, and of the zeros only a few.
fn places(bytes: &[u8]) -> Vec<usize> {
    let stride = stride();
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    (0..bytes.len())
        .filter(|&at| {
            let dense = at < used && (at % 4096 < 64 || at % stride == 0);
            dense || at % (stride * 97) == 0
        })
        .collect()
}

#[test]
fn a_flipped_byte_gives_the_right_rows_or_an_error() {
    let original = CrashDirectory::new();
    let states = build(&original);
    assert!(!read_damaged(&original.survivor(Surviving::Everything), &states, "not damaged"));
    let (mut flips, mut refused) = (0, 0);
    for (name, bytes) in files(&original) {
        for at in places(&bytes) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << (at % 8);
            let damaged = with_file(&original, &name, wrong);
            flips += 1;
            refused += usize::from(read_damaged(&damaged, &states, &format!("{name}, byte {at} flipped")));
        }
    }
    assert!(flips > 500 && refused > 100, "{flips} {refused}");
}

#[test]
fn a_file_cut_short_gives_the_right_rows_or_an_error() {
    let original = CrashDirectory::new();
    let states = build(&original);
    for (name, bytes) in files(&original) {
        let step = (bytes.len() / 23).max(1);
        for len in (0..bytes.len()).step_by(step) {
            let damaged = with_file(&original, &name, bytes[..len].to_vec());
            read_damaged(&damaged, &states, &format!("{name} cut to {len}"));
        }
    }
}
