//! Single operations, without devices: what the code itself costs. `cargo bench -p dosql-bench`.

#![allow(missing_docs, reason = "the macros of criterion make functions without")]

use std::hint::black_box;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dosql::{Begin, Database, Durability, Isolation, Keyspace, Options, Storage, Timestamp};
use dosql_wal::{Log, LogOptions, LogPosition, MemoryLogStore, RecordBuilder};

const ENTRIES: u64 = 100_000;

fn key(i: u64) -> [u8; 24] {
    let mut key = [0; 24];
    for (word, chunk) in key.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&(i + word as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    }
    key
}

fn filled() -> (Database, Keyspace) {
    let options = Options { cache_bytes: 1 << 30, durability: Durability::None, ..Options::default() };
    let database = Database::open(Storage::memory_with(&options), options).expect("memory opens");
    let keyspace = database.keyspace("kv").expect("a sound name");
    for from in (0..ENTRIES).step_by(10_000) {
        let fill = |tx: &mut dosql::Transaction| {
            (from..from + 10_000).try_for_each(|i| tx.put(&keyspace, key(i), [7; 150]))
        };
        database.write(fill).expect("memory takes a commit");
    }
    let keyspace = database.keyspace("kv").expect("a sound name");
    (database, keyspace)
}

fn commits(criterion: &mut Criterion) {
    let (database, keyspace) = filled();
    let mut i = 0;
    criterion.bench_function("commit of one put", |bencher| {
        bencher.iter(|| {
            i = (i + 7919) % ENTRIES;
            database.write(|tx| tx.put(&keyspace, key(i), [8; 150]))
        });
    });
    criterion.bench_function("optimistic commit of a get and a put", |bencher| {
        bencher.iter(|| {
            i = (i + 7919) % ENTRIES;
            let mut tx = database.begin(Begin::Concurrent(Isolation::Serializable))?;
            black_box(tx.get(&keyspace, key(i))?);
            tx.put(&keyspace, key(i), [9; 150])?;
            tx.commit()
        });
    });
}

fn reads(criterion: &mut Criterion) {
    let (database, keyspace) = filled();
    let tx = database.read().expect("an open database");
    let mut i = 0;
    criterion.bench_function("get", |bencher| {
        bencher.iter(|| {
            i = (i + 7919) % ENTRIES;
            tx.get(&keyspace, key(i)).map(|value| value.map(|value| value[0]))
        });
    });
    criterion.bench_function("begin, get, end", |bencher| {
        bencher.iter(|| {
            i = (i + 7919) % ENTRIES;
            database.read()?.get(&keyspace, key(i)).map(|value| value.map(|value| value[0]))
        });
    });
    criterion.bench_function("seek and 10 steps", |bencher| {
        bencher.iter(|| {
            i = (i + 7919) % ENTRIES;
            let from = key(i);
            let bounds = (Bound::Included(from.as_slice()), Bound::<&[u8]>::Unbounded);
            let (mut left, mut sum) = (10, 0u64);
            tx.range::<&[u8]>(&keyspace, bounds)?.visit(|_, value| {
                sum += u64::from(value[0]);
                left -= 1;
                if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok::<_, dosql::Error>(sum)
        });
    });
    criterion.bench_function("full scan of 100k", |bencher| {
        bencher.iter(|| {
            let mut sum = 0u64;
            tx.iter(&keyspace)?.visit(|_, value| {
                sum += u64::from(value[0]);
                ControlFlow::Continue(())
            })?;
            Ok::<_, dosql::Error>(sum)
        });
    });
}

fn log(criterion: &mut Criterion) {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) =
        Log::open(store, LogPosition::ZERO, 0, LogOptions::default(), |_| Ok(())).expect("a new log");
    let (mut record, mut at) = (RecordBuilder::new(), 0);
    criterion.bench_function("log append of one put", |bencher| {
        bencher.iter(|| {
            at += 1;
            record.begin(Timestamp::from_micros(at), 0);
            record.put(&key(at), &[7; 150])?;
            record.finish();
            let appended = log.append(&record)?;
            if at % 1000 == 0 {
                log.sync(appended.end)?;
                log.trim(appended.end)?;
            }
            Ok::<_, dosql::Error>(appended.chain)
        });
    });
}

criterion_group!(operations, commits, reads, log);
criterion_main!(operations);
