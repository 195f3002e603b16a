//! A database on a file that crashes at every write and sync, with any part of what was not synced surviving.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::fault::CrashFile;
use dosql_btree::{FilePageStore, Frozen, PageWriter, Pages, PagesOptions, Root};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(file: &CrashFile) -> Result<(Arc<Pages>, Root)> {
    let store = FilePageStore::with_file(Box::new(file.clone()), 4096, "test file")?;
    let (pages, meta) = Pages::open(Arc::new(store), PagesOptions { cache_bytes: 64 << 10 })?;
    let root = if meta.is_empty() { Root::EMPTY } else { Root::from_bytes(&meta)? };
    Ok((pages, root))
}

/// The changes of one round, always the same.
fn change(round: u64, mut apply: impl FnMut(Vec<u8>, Option<Vec<u8>>) -> Result<()>) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(round);
    for _ in 0..60 {
        let key = format!("key {}", rng.u32(0..300)).into_bytes();
        let len = if rng.u8(0..30) == 0 { 9000 } else { rng.usize(0..200) };
        let value = (rng.u8(0..4) > 0).then(|| vec![round as u8; len]);
        apply(key, value)?;
    }
    Ok(())
}

fn model_after(round: u64) -> Model {
    let mut model = Model::new();
    for round in 1..=round {
        change(round, |key, value| {
            match value {
                Some(value) => drop(model.insert(key, value)),
                None => drop(model.remove(&key)),
            }
            Ok(())
        })
        .unwrap();
    }
    model
}

/// When a checkpoint is written.
#[derive(Clone, Copy, PartialEq)]
enum Writing {
    /// Before the next round begins.
    AtOnce,
    /// When the next round is already published.
    Behind,
}

/// Publishes the changes of one round; returns the writer.
fn publish<'p>(pages: &'p Arc<Pages>, root: &mut Root, round: u64) -> Result<PageWriter<'p>> {
    let version = Timestamp::from_micros(round);
    let mut writer = pages.writer();
    writer.begin(version);
    change(round, |key, value| {
        match value {
            Some(value) => writer.set(root, &key, version, &value)?,
            None => writer.remove(root, &key)?,
        };
        Ok(())
    })?;
    writer.publish(version)?;
    Ok(writer)
}

/// Runs rounds from where the file stands; returns the last that was acknowledged.
fn work(file: &CrashFile, until: u64, writing: Writing) -> (u64, Result<()>) {
    let mut done = 0;
    let result = (|| {
        let (pages, mut root) = open(file)?;
        done = pages.published().as_micros();
        let mut begun = None;
        for round in done + 1..=until {
            let mut writer = publish(&pages, &mut root, round)?;
            if writing == Writing::AtOnce {
                writer.checkpoint(&root.to_bytes())?;
                done = round;
                continue;
            }
            drop(writer);
            if let Some(frozen) = begun.take() {
                Frozen::write(&frozen)?;
                pages.writer().settle(frozen);
                done = round - 1;
                pages.latest().check(root)?;
            }
            begun = Some(pages.writer().freeze(&root.to_bytes())?);
        }
        Ok(())
    })();
    (done, result)
}

/// The file holds a whole state: that of `acknowledged`, or of the round in flight.
fn assert_recovers(file: &CrashFile, acknowledged: u64, what: &str) {
    let (pages, root) = open(file).unwrap_or_else(|error| panic!("{what}: {error}"));
    let round = pages.published().as_micros();
    assert!(round == acknowledged || round == acknowledged + 1, "{what}: round {round} after {acknowledged}");
    let snapshot = pages.latest();
    snapshot.check(root).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut found = Model::new();
    let mut cursor = snapshot.cursor(root);
    let mut more = cursor.seek_first().unwrap();
    while more {
        found.insert(cursor.key().to_vec(), cursor.value().unwrap().to_vec());
        more = cursor.next().unwrap();
    }
    assert_eq!(found, model_after(round), "{what}");
}

/// A crash at every call, with several parts of what was not synced surviving; then it goes on, and can crash again.
fn crash_everywhere(rounds: u64, writing: Writing) {
    let whole = CrashFile::new();
    work(&whole, rounds, writing).1.unwrap();
    for call in 0..whole.calls() {
        let file = CrashFile::new();
        file.crash_at(call);
        let (acknowledged, result) = work(&file, rounds, writing);
        assert!(result.is_err());
        for variant in 0..6u64 {
            let mut rng = fastrand::Rng::with_seed(call * 100 + variant);
            let mut survives = || match variant {
                0 => false,
                1 => true,
                _ => rng.bool(),
            };
            let left = file.crash(&mut survives);
            assert_recovers(&left, acknowledged, &format!("call {call}, variant {variant}"));
            if variant >= 4 {
                // It goes on from there, and can crash again.
                let again = left.calls() + 3 + call % 11;
                left.crash_at(again);
                let (acknowledged, _) = work(&left, rounds, writing);
                let left = left.crash(&mut || rng.bool());
                assert_recovers(&left, acknowledged, &format!("call {call}, then {again}"));
                let (done, result) = work(&left, rounds + 2, writing);
                result.unwrap();
                assert_recovers(&left, done, "the rest of the work");
            }
        }
    }
}

#[test]
fn a_crash_at_any_call_leaves_the_last_or_the_next_state_whole() {
    crash_everywhere(5, Writing::AtOnce);
}

#[test]
fn a_crash_while_a_checkpoint_is_written_beside_commits_leaves_a_whole_state() {
    crash_everywhere(6, Writing::Behind);
}

#[test]
fn a_flipped_byte_is_found_or_harmless() {
    let file = CrashFile::new();
    work(&file, 3, Writing::AtOnce).1.unwrap();
    let bytes = file.bytes();
    let expected = model_after(3);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut found = 0;
    for at in 0..bytes.len() {
        // Every byte of the slots and of each page's header, a sample of the rest.
        if at % 4096 > 130 && rng.u8(0..24) != 0 {
            continue;
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << rng.u8(0..8);
        let result = (|| {
            let (pages, root) = open(&CrashFile::holding(flipped))?;
            let round = pages.published().as_micros();
            let snapshot = pages.latest();
            snapshot.check(root)?;
            let mut model = Model::new();
            let mut cursor = snapshot.cursor(root);
            let mut more = cursor.seek_first()?;
            while more {
                model.insert(cursor.key().to_vec(), cursor.value()?.to_vec());
                more = cursor.next()?;
            }
            Ok::<_, dosql_base::Error>((round, model))
        })();
        match result {
            Err(_) => found += 1,
            // A damaged newest slot gives way to the state before it.
            Ok((round, model)) if round != 3 => {
                assert!(at < 8192 && model == model_after(round), "byte {at}")
            }
            Ok((_, model)) => assert!(model == expected, "byte {at}"),
        }
    }
    assert!(found > 1000, "{found}");
}
