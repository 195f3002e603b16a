//! Commits as values, to write and to compare.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_wal::{Appended, Change, Changes, Log, LogOptions, LogPosition, LogStore, Record, RecordBuilder};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Note(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub timestamp: u64,
    pub branch: u32,
    pub changes: Vec<Owned>,
}

impl Commit {
    pub fn put(timestamp: u64, branch: u32, key: &[u8], value: &[u8]) -> Self {
        Commit { timestamp, branch, changes: vec![Owned::Put(key.to_vec(), value.to_vec())] }
    }

    pub fn of(record: &Record<'_>) -> Result<Self> {
        let changes = drain(record.changes())?;
        Ok(Commit { timestamp: record.timestamp.as_micros(), branch: record.branch, changes })
    }
}

pub fn drain(mut changes: Changes<'_>) -> Result<Vec<Owned>> {
    let mut owned = Vec::new();
    while let Some(change) = changes.next()? {
        owned.push(match change {
            Change::Put { key, value } => Owned::Put(key.to_vec(), value.to_vec()),
            Change::Delete { key } => Owned::Delete(key.to_vec()),
            Change::Note(bytes) => Owned::Note(bytes.to_vec()),
        });
    }
    Ok(owned)
}

/// `count` commits that differ in size and kind of changes.
pub fn commits(count: u64) -> Vec<Commit> {
    (0..count)
        .map(|i| {
            let mut changes = vec![Owned::Note(vec![i as u8; (i % 3) as usize])];
            for k in 0..i % 4 + 1 {
                let key = format!("table/{i:04}/{k}").into_bytes();
                let value = vec![(i + k) as u8; (i * 7 % 90) as usize];
                changes.push(if k == 2 { Owned::Delete(key) } else { Owned::Put(key, value) });
            }
            Commit { timestamp: 100 + i, branch: (i % 2) as u32, changes }
        })
        .collect()
}

pub fn build(commit: &Commit) -> RecordBuilder {
    let mut builder = RecordBuilder::new();
    builder.begin(Timestamp::from_micros(commit.timestamp), commit.branch);
    for change in &commit.changes {
        match change {
            Owned::Put(key, value) => builder.put(key, value).unwrap(),
            Owned::Delete(key) => builder.delete(key).unwrap(),
            Owned::Note(bytes) => builder.note(bytes).unwrap(),
        }
    }
    builder.finish();
    builder
}

pub fn append(log: &Log, commit: &Commit) -> Result<Appended> {
    log.append(&build(commit))
}

pub fn open<S: LogStore + 'static>(store: &Arc<S>) -> Result<(Log, Vec<Commit>)> {
    open_from(store.clone(), LogPosition::ZERO, 0)
}

pub fn open_from(store: Arc<dyn LogStore>, from: LogPosition, chain: u32) -> Result<(Log, Vec<Commit>)> {
    let mut found = Vec::new();
    let (log, _) = Log::open(store, from, chain, LogOptions::default(), |record| {
        found.push(Commit::of(record)?);
        Ok(())
    })?;
    Ok((log, found))
}
