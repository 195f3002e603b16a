//! A process that commits is killed at a random moment: what it acknowledged is there, what it did not is whole or absent.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "the test is its own child process")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use dosql::{Bytes, Database, Durability, Options, Storage};

const CHILD: &str = "DOSQL_KILL_CHILD";
const ROUNDS: &str = "DOSQL_KILL_ROUNDS";
/// Keys that every commit sets to its own number.
const KEYS: u32 = 12;

fn open(path: &str) -> Database {
    let options = Options {
        log_limit: 256 << 10,
        dirty_bytes: 512 << 10,
        durability: Durability::Sync,
        ..Options::default()
    };
    Database::open(Storage::directory_with(path, &options).unwrap(), options).unwrap()
}

/// What commit `n` sets key `key` to: sometimes longer than a page.
fn value(n: u64, key: u32) -> Vec<u8> {
    let mut value = n.to_be_bytes().to_vec();
    if n.is_multiple_of(16) && key == 3 {
        value.resize(10_000, n as u8);
    }
    value
}

fn number(value: Option<Bytes>) -> u64 {
    value.map_or(0, |value| u64::from_be_bytes(value[..8].try_into().unwrap()))
}

/// Commits for ever, and says so after each.
fn commit_for_ever(path: &str) {
    let db = open(path);
    let space = db.keyspace("space").unwrap();
    let mut n = number(db.read().unwrap().get(&space, 0u32.to_be_bytes()).unwrap());
    let mut out = std::io::stdout();
    loop {
        n += 1;
        db.write(|tx| {
            (0..KEYS).try_for_each(|key| tx.put(&space, key.to_be_bytes(), value(n, key)))?;
            tx.put(&space, n.to_be_bytes(), b"one more")?;
            tx.delete(&space, (n - 1).to_be_bytes())
        })
        .unwrap();
        writeln!(out, "committed {n}").unwrap();
        out.flush().unwrap();
        if n.is_multiple_of(40) {
            db.checkpoint().unwrap();
        }
    }
}

fn start(path: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "what_was_acknowledged_survives_kill_dash_nine", "--nocapture"]);
    command.env(CHILD, path).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Kills the child after it has acknowledged so many commits and a little time; returns the last one acknowledged.
fn kill_after(mut child: Child, commits: usize, spins: u64) -> u64 {
    let mut acknowledged = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let commit = |line: &str| line.split_once("committed ").map(|(_, n)| n.trim().parse::<u64>().unwrap());
    let mut seen = 0;
    while seen < commits {
        let line = lines.next().expect("the child ended by itself").unwrap();
        if let Some(n) = commit(&line) {
            (acknowledged, seen) = (n, seen + 1);
        }
    }
    for _ in 0..spins {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts as well; the last line may be cut off.
    for line in lines.map_while(std::result::Result::ok) {
        if let Some((_, n)) = line.split_once("committed ")
            && let Ok(n) = n.trim().parse::<u64>()
            && n == acknowledged + 1
        {
            acknowledged = n;
        }
    }
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_kill_dash_nine() {
    if let Ok(path) = std::env::var(CHILD) {
        commit_for_ever(&path);
    }
    let rounds = std::env::var(ROUNDS).map_or(6, |rounds| rounds.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db").to_str().unwrap().to_owned();
    let mut rng = fastrand::Rng::with_seed(rounds);
    for round in 0..rounds {
        let acknowledged = kill_after(start(&path), rng.usize(1..120), rng.u64(..1_000_000));
        let db = open(&path);
        let space = db.keyspace("space").unwrap();
        let read = db.read().unwrap();
        let found = number(read.get(&space, 0u32.to_be_bytes()).unwrap());
        assert!(found >= acknowledged, "round {round}: {found} is less than the acknowledged {acknowledged}");
        assert!(found <= acknowledged + 1, "round {round}: {found} is more than one after {acknowledged}");
        for key in 0..KEYS {
            assert_eq!(read.get(&space, key.to_be_bytes()).unwrap().as_deref(), Some(&*value(found, key)));
        }
        assert!(read.contains(&space, found.to_be_bytes()).unwrap());
        assert_eq!(read.iter(&space).unwrap().count(), KEYS as usize + 1);
        let report = db.verify().unwrap();
        assert!(report.is_sound(), "round {round}: {:?}", report.problems);
    }
}
