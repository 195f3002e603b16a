//! Every byte of the files, turned over: the right rows come back, or an error that says what is wrong. Never wrong rows, never
//! a panic.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(clippy::disallowed_methods, reason = "the sweep's density comes from the environment")]

use std::path::{Path, PathBuf};

use dosql::{Database, ErrorKind, Keyspace, Options, Result, Storage, Timestamp};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Every so many bytes of the parts that are looked at by sample only.
fn stride() -> usize {
    std::env::var("DOSQL_CORRUPTION_STRIDE").map_or(211, |stride| stride.parse().unwrap())
}

fn options() -> Options {
    Options { page_size: 4096, log_limit: 1, dirty_bytes: usize::MAX, ..Options::default() }
}

fn open(path: &Path) -> Result<Database> {
    let options = Options { log_limit: u64::MAX, ..options() };
    Database::open(Storage::directory_with(path, &self::options())?, options)
}

/// A database with a checkpoint, history in a run, and commits in the log after it.
fn build(path: &Path) -> Vec<(Timestamp, Rows)> {
    let db = open(path).unwrap();
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
fn read_everything(path: &Path, states: &[(Timestamp, Rows)]) -> Result<()> {
    let db = open(path)?;
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

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file() && file.file_name().is_some_and(|name| name != "LOCK"));
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in files(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
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
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let states = build(&original);
    let damaged = dir.path().join("damaged");
    copy(&original, &damaged);
    read_everything(&damaged, &states).unwrap();
    let (mut flips, mut refused) = (0, 0);
    for file in files(&original) {
        let bytes = std::fs::read(&file).unwrap();
        for at in places(&bytes) {
            copy(&original, &damaged);
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << (at % 8);
            std::fs::write(damaged.join(file.file_name().unwrap()), wrong).unwrap();
            flips += 1;
            let place = format!("{} byte {at}", file.display());
            let read = std::panic::catch_unwind(|| read_everything(&damaged, &states));
            match read.unwrap_or_else(|_| panic!("flipped {place}")) {
                Ok(()) => {}
                Err(error) => {
                    refused += 1;
                    let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::InvalidInput];
                    assert!(kinds.contains(&error.kind()), "{place}: {error:?}");
                }
            }
        }
    }
    assert!(flips > 500 && refused > 100, "{flips} {refused}");
}

#[test]
fn a_file_cut_short_gives_the_right_rows_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let states = build(&original);
    for file in files(&original) {
        let bytes = std::fs::read(&file).unwrap();
        let step = (bytes.len() / 23).max(1);
        for len in (0..bytes.len()).step_by(step) {
            let damaged = dir.path().join("damaged");
            copy(&original, &damaged);
            std::fs::write(damaged.join(file.file_name().unwrap()), &bytes[..len]).unwrap();
            let place = format!("{} cut to {len}", file.display());
            let read = std::panic::catch_unwind(|| read_everything(&damaged, &states));
            if let Err(error) = read.unwrap_or_else(|_| panic!("{place}")) {
                let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::InvalidInput];
                assert!(kinds.contains(&error.kind()), "{place}: {error:?}");
            }
        }
    }
}
