//! Transactions over keys and values with checkpoints, snapshots, reads of the past and reopening, judged by a map.

use std::collections::BTreeMap;

use dosql::{Database, Durability, Options, ReadTransaction, Storage, Timestamp};

use crate::input::Input;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// The most operations of one input.
const OPERATIONS: usize = 400;

fn options() -> Options {
    Options { page_size: 4096, durability: Durability::None, ..Options::default() }
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

fn read(transaction: &ReadTransaction, space: &dosql::Keyspace) -> State {
    transaction.iter(space).expect("a scan begins").map(|pair| pair.expect("a row is read")).collect()
}

/// Does what the input says and compares every read with the map.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let storage = Storage::memory_with(&options());
    let mut db = Database::open(storage.share(), options()).expect("a new database opens");
    let mut space = db.keyspace("space").expect("a keyspace");
    let mut now = State::new();
    let mut past: Vec<(Timestamp, State)> = Vec::new();
    let mut readers: Vec<(ReadTransaction, State)> = Vec::new();
    for _ in 0..OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0..=7 => {
                let mut after = now.clone();
                let commits = input.byte() % 8 != 0;
                let mut transaction = db.begin_write().expect("the turn is free");
                for _ in 0..input.byte() % 12 {
                    let key = key(&mut input);
                    if input.byte() % 4 == 0 {
                        transaction.delete(&space, &key).expect("a delete");
                        after.remove(&key);
                    } else {
                        let value = value(&mut input);
                        transaction.put(&space, &key, &value).expect("a put");
                        after.insert(key, value);
                    }
                }
                if commits {
                    transaction.commit().expect("a commit");
                    now = after;
                    past.push((db.last_commit(), now.clone()));
                } else {
                    transaction.rollback();
                }
            }
            8 => db.checkpoint().expect("a checkpoint"),
            9 if readers.len() < 4 => {
                readers.push((db.read().expect("a reader"), now.clone()));
            }
            10 if !readers.is_empty() => {
                let (reader, state) = readers.swap_remove(usize::from(input.byte()) % readers.len());
                assert_eq!(read(&reader, &space), state, "a snapshot changed");
            }
            11 | 12 if !past.is_empty() => {
                let (at, state) = &past[usize::from(input.byte()) % past.len()];
                let reader = db.read_at(*at).expect("history reaches");
                assert_eq!(&read(&reader, &space), state, "the past changed");
            }
            13 => {
                readers.clear();
                if input.byte() % 2 == 0 {
                    db.close().expect("it closes");
                }
                drop(db);
                db = Database::open(storage.share(), options()).expect("it opens again");
                space = db.keyspace("space").expect("a keyspace");
            }
            _ => {
                let key = key(&mut input);
                let found = db.read().expect("a reader").get(&space, &key).expect("a get");
                assert_eq!(found.as_deref(), now.get(&key).map(Vec::as_slice), "{key:?}");
            }
        }
    }
    assert_eq!(read(&db.read().expect("a reader"), &space), now, "the present");
    let report = db.verify().expect("it can be checked");
    assert!(report.is_sound(), "{:?}", report.problems);
}
