//! Transactions over keys and values with savepoints, concurrent transactions, checkpoints, snapshots, reads of the past,
//! reopening and crashes, judged by a map.

use std::collections::BTreeMap;

use dosql::{Database, ErrorKind, Keyspace, Maintenance, Options, ReadTransaction, Timestamp, Transaction};
use dosql_wal::{CrashDirectory, Surviving};

use crate::crash;
use crate::input::Input;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// The most operations of one input.
const OPERATIONS: usize = 400;

fn options() -> Options {
    Options { page_size: 4096, maintenance: Maintenance::Caller, ..Options::default() }
}

fn key(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() % 4 {
        0 => vec![input.byte() % 8],
        1 => vec![b'k'; usize::from(input.byte()) % 100],
        2 => [b"key/".as_slice(), &[input.byte() % 16, 0, input.byte() % 4]].concat(),
        _ => input.bytes(40).to_vec(),
    }
}

fn value(input: &mut Input<'_>) -> Vec<u8> {
    let byte = input.byte();
    let len = match byte % 8 {
        0 => 0,
        1 => usize::from(input.byte()) * 40,
        _ => usize::from(input.byte() % 40),
    };
    vec![byte; len]
}

fn read(transaction: &ReadTransaction, space: &Keyspace) -> State {
    transaction.iter(space).expect("a scan begins").map(|pair| pair.expect("a row is read")).collect()
}

/// A database on a simulated disk, and what it must hold.
struct Twin {
    directory: CrashDirectory,
    db: Database,
    space: Keyspace,
    now: State,
    past: Vec<(Timestamp, State)>,
    readers: Vec<(ReadTransaction, State)>,
}

fn open(directory: &CrashDirectory) -> (Database, Keyspace) {
    let storage = crash::storage(directory, options().page_size).expect("the files are there");
    let db = Database::open(storage, options()).expect("it opens");
    let space = db.keyspace("space").expect("a keyspace");
    (db, space)
}

impl Twin {
    fn new() -> Twin {
        let directory = CrashDirectory::new();
        let (db, space) = open(&directory);
        // The keyspace is there from now on: making it is a write that others could conflict with.
        db.write(|tx| tx.put(&space, "key", "")).expect("a write");
        db.write(|tx| tx.delete(&space, "key")).expect("a write");
        let past = vec![(db.last_commit(), State::new())];
        Twin { directory, db, space, now: State::new(), past, readers: Vec::new() }
    }

    fn committed(&mut self, state: State) {
        self.now = state;
        self.past.push((self.db.last_commit(), self.now.clone()));
    }

    fn write(&mut self, input: &mut Input<'_>) {
        let mut after = self.now.clone();
        let commits = input.byte() % 8 != 0;
        let mut transaction = self.db.begin_write().expect("the turn is free");
        let mut marks: Vec<(u64, State)> = Vec::new();
        for _ in 0..input.byte() % 12 {
            match input.byte() % 16 {
                0..=2 => {
                    let key = key(input);
                    transaction.delete(&self.space, &key).expect("a delete");
                    after.remove(&key);
                }
                3 => marks.push((transaction.savepoint().expect("a savepoint"), after.clone())),
                4 if !marks.is_empty() => {
                    marks.truncate(1 + usize::from(input.byte()) % marks.len());
                    if let Some((mark, state)) = marks.last() {
                        transaction.rollback_to(*mark).expect("a mark");
                        after.clone_from(state);
                    }
                }
                5 if !marks.is_empty() => {
                    let at = usize::from(input.byte()) % marks.len();
                    transaction.release(marks[at].0).expect("a mark");
                    marks.truncate(at);
                }
                6 => {
                    let key = key(input);
                    let found = transaction.get(&self.space, &key).expect("a get");
                    assert_eq!(found.as_deref(), after.get(&key).map(Vec::as_slice), "its own writes");
                }
                _ => put(&mut transaction, &self.space, &mut after, input),
            }
        }
        if commits {
            transaction.commit().expect("a commit");
            self.committed(after);
        } else {
            transaction.rollback();
        }
    }

    /// Two transactions of one snapshot. The second fails where the first changed what it read; it does not where they touch
    /// nothing in common.
    fn concurrent(&mut self, input: &mut Input<'_>) {
        let mut first = self.db.begin_concurrent().expect("it begins");
        let mut second = self.db.begin_concurrent().expect("it begins");
        let (mut written, mut both) = (State::new(), State::new());
        for _ in 0..1 + input.byte() % 3 {
            put(&mut first, &self.space, &mut written, input);
        }
        let read = key(input);
        let found = second.get(&self.space, &read).expect("a get");
        assert_eq!(found.as_deref(), self.now.get(&read).map(Vec::as_slice), "a snapshot");
        put(&mut second, &self.space, &mut both, input);
        let must_fail = written.contains_key(&read) && written.get(&read) != self.now.get(&read);
        let apart = !written.keys().any(|key| *key == read || both.contains_key(key));
        first.commit().expect("nobody committed since");
        let mut after = self.now.clone();
        after.extend(written);
        self.committed(after);
        match second.commit() {
            Ok(_) => {
                assert!(!must_fail, "a transaction committed on what another had changed");
                let mut after = self.now.clone();
                after.extend(both);
                self.committed(after);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(!apart, "transactions that touch nothing in common conflict");
            }
        }
    }

    fn reopen(&mut self, input: &mut Input<'_>) {
        self.readers.clear();
        match input.byte() % 4 {
            0 => self.db.close().expect("it closes"),
            // Two must never have the files open: the old one gets a copy.
            1 => self.directory = self.directory.killed(),
            how => {
                let seed = u64::from(input.byte());
                let survives = [Surviving::Nothing, Surviving::Everything, Surviving::Torn(seed)];
                let pick = survives[usize::from(input.byte()) % 3];
                self.directory =
                    self.directory.survivor(if how == 2 { Surviving::Garbage(seed) } else { pick });
            }
        }
        let (db, space) = open(&self.directory);
        (self.db, self.space) = (db, space);
        assert_eq!(self.present(), self.now, "what was acknowledged");
    }

    fn present(&self) -> State {
        read(&self.db.read().expect("a reader"), &self.space)
    }
}

fn put(transaction: &mut Transaction, space: &Keyspace, after: &mut State, input: &mut Input<'_>) {
    let (key, value) = (key(input), value(input));
    transaction.put(space, &key, &value).expect("a put");
    after.insert(key, value);
}

/// Does what the input says and compares every read with the map.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let mut twin = Twin::new();
    for _ in 0..OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.byte() % 20 {
            0..=7 => twin.write(&mut input),
            8 => twin.db.checkpoint().expect("a checkpoint"),
            9 if twin.readers.len() < 4 => {
                twin.readers.push((twin.db.read().expect("a reader"), twin.now.clone()));
            }
            10 if !twin.readers.is_empty() => {
                let at = usize::from(input.byte()) % twin.readers.len();
                let (reader, state) = twin.readers.swap_remove(at);
                assert_eq!(read(&reader, &twin.space), state, "a snapshot changed");
            }
            11 | 12 => {
                let (at, state) = &twin.past[usize::from(input.byte()) % twin.past.len()];
                let reader = twin.db.read_at(*at).expect("history reaches");
                assert_eq!(&read(&reader, &twin.space), state, "the past changed");
            }
            13 | 14 => twin.reopen(&mut input),
            15 | 16 => twin.concurrent(&mut input),
            _ => {
                let key = key(&mut input);
                let found = twin.db.read().expect("a reader").get(&twin.space, &key).expect("a get");
                assert_eq!(found.as_deref(), twin.now.get(&key).map(Vec::as_slice), "{key:?}");
            }
        }
    }
    assert_eq!(twin.present(), twin.now, "the present");
    let report = twin.db.verify().expect("it can be checked");
    assert!(report.is_sound(), "{:?}", report.problems);
}
