//! Where the time goes: random and sorted puts, gets, scans, overwrites, deletes. Arguments: entries, page size, cache MiB.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use dosql_base::{Result, Timestamp};
use dosql_btree::{MemoryPageStore, Pages, PagesOptions, Root, Way};

fn key(i: u64) -> [u8; 24] {
    let mut key = [0; 24];
    let mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5555;
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..16].copy_from_slice(&mixed.wrapping_mul(31).to_be_bytes());
    key[16..].copy_from_slice(&i.to_be_bytes());
    key
}

/// Processor time where the system tells it, so that a busy machine matters less; else the time of day.
#[derive(Clone, Copy)]
struct Clock(Instant, Option<f64>);

impl Clock {
    fn start() -> Self {
        Clock(Instant::now(), Clock::cpu())
    }

    fn cpu() -> Option<f64> {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
    }

    fn seconds(self) -> f64 {
        match (self.1, Clock::cpu()) {
            (Some(from), Some(to)) => to - from,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

fn report(what: &str, count: u64, start: Clock) {
    let seconds = start.seconds();
    println!("{what:40} {:>12.0} /s  {seconds:.3} s", count as f64 / seconds);
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().unwrap_or(0));
    let count = args.next().unwrap_or(1_000_000);
    let page_size = args.next().unwrap_or(8192) as usize;
    let cache_bytes = (args.next().unwrap_or(1024) as usize) << 20;
    let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(page_size)), PagesOptions { cache_bytes })?;
    let value = [7u8; 150];
    let mut root = Root::EMPTY;
    let mut version = 0;
    let mut commit = |root: &mut Root, keys: &mut Vec<u64>, delete: bool| -> Result<()> {
        version += 1;
        let mut sorted: Vec<[u8; 24]> = keys.drain(..).map(key).collect();
        sorted.sort_unstable();
        let mut writer = pages.writer();
        writer.begin(Timestamp::from_micros(version));
        for key in &sorted {
            if delete {
                writer.remove(root, key)?;
            } else {
                writer.set(root, key, Timestamp::from_micros(version), &value)?;
            }
        }
        writer.publish(Timestamp::from_micros(version))
    };
    let mut run =
        |what: &str, root: &mut Root, mut ids: &mut dyn Iterator<Item = u64>, each: usize, delete| {
            let start = Clock::start();
            let mut total = 0;
            let mut batch = Vec::new();
            loop {
                batch.extend((&mut ids).take(each));
                total += batch.len() as u64;
                if batch.is_empty() {
                    break;
                }
                commit(root, &mut batch, delete)?;
            }
            report(what, total, start);
            Ok::<(), dosql_base::Error>(())
        };
    run("put random, 10k a commit", &mut root, &mut (0..count), 10_000, false)?;
    let start = Clock::start();
    pages.writer().checkpoint(&[])?;
    report("checkpoint [pages]", pages.stats().pages_used, start);
    run("overwrite, 1k a commit", &mut root, &mut (0..count / 4).map(|i| i * 3 % count), 1000, false)?;
    run("overwrite, 1 a commit", &mut root, &mut (0..count / 10).map(|i| i * 7 % count), 1, false)?;
    let snapshot = pages.latest();
    println!("{:?}", snapshot.check(root)?);
    for round in 0..2 {
        let start = Clock::start();
        let mut found = 0;
        for i in 0..count {
            let id = (i * 7919 + round) % count;
            found += u64::from(snapshot.get(root, &key(id))?.is_some_and(|entry| entry.value()[0] == 7));
        }
        report("get random", found, start);
    }
    let start = Clock::start();
    let mut found = 0;
    for i in 0..count / 4 {
        let snapshot = pages.latest();
        found += u64::from(snapshot.get(root, &key(i * 7919 % count))?.is_some());
    }
    report("get random, own snapshot", found, start);
    let start = Clock::start();
    let misses =
        (0..count).filter(|&i| snapshot.get(root, &key(count + i)).is_ok_and(|entry| entry.is_none()));
    report("get missing", misses.count() as u64, start);
    let start = Clock::start();
    let mut cursor = snapshot.cursor(root);
    for i in 0..count / 10 {
        cursor.seek(&key(i * 7919 % count))?;
        let mut left = 10;
        cursor.visit(Way::Up, None, |_| {
            left -= 1;
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    report("seek + 10", count / 10, start);
    let start = Clock::start();
    let mut sum = 0u64;
    cursor.seek_first()?;
    let mut passed = 0;
    cursor.visit(Way::Up, None, |item| {
        passed += 1;
        sum += u64::from(item.value[0]) + u64::from(item.key[0]);
        ControlFlow::Continue(())
    })?;
    report("scan with visit", passed, start);
    let start = Clock::start();
    let mut passed = 0;
    let mut more = cursor.seek_first()?;
    while more {
        sum += u64::from(cursor.value()?[0]);
        passed += 1;
        more = cursor.next()?;
    }
    report("scan with next", passed, start);
    drop((cursor, snapshot));
    run("delete, 10k a commit", &mut root, &mut (0..count / 2), 10_000, true)?;
    let start = Clock::start();
    let mut writer = pages.writer();
    let mut next = 0u64;
    let sorted = writer.bulk_load(|| {
        next += 1;
        Ok((next <= count).then(|| (next.to_be_bytes(), Timestamp::ZERO, value)))
    })?;
    report("bulk load", sorted.entries(), start);
    println!("{sum} {:?}", pages.stats());
    Ok(())
}
