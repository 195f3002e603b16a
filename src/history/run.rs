//! Writing a run of history: versions of several sources, merged in the order of their keys, without those that are not kept.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::{PageMaker, Root};

use dosql_lsm::Filter;

use super::cursor::Versions;
use super::filters::Keys;
use super::kept::Kept;
use super::key;
use crate::erase::Fate;
use crate::manifest::Run;

/// Writes the versions of `sources` that anybody may ask for as one run, with a filter of their keys; `None` if there are none.
pub(crate) fn write_run<M: PageMaker>(
    maker: &mut M,
    sources: Vec<Box<dyn Versions + '_>>,
    kept: &Kept,
    number: u64,
) -> Result<Option<(Run, Option<Arc<Filter>>)>> {
    let mut open = Vec::with_capacity(sources.len());
    for mut source in sources {
        if source.seek(&[])? {
            open.push(source);
        }
    }
    let mut run = Run {
        number,
        root: Root::EMPTY,
        first_start: Timestamp::MAX,
        last_end: Timestamp::ZERO,
        entries: 0,
        bytes: 0,
    };
    let mut loader = maker.bulk();
    let (mut user_key, mut keys) = (Vec::new(), Keys::default());
    while let Some(least) = least(&open) {
        let source = &mut open[least];
        let start = key::decode(source.key(), &mut user_key)?;
        if kept.keeps(&user_key, start, source.end()) {
            let fate = match &kept.erasure {
                Some(erasure) => erasure.fate(&user_key, source.value()?, source.end())?,
                None => Fate::Stays,
            };
            if let Fate::Goes = fate {
                if !source.next()? {
                    drop(open.swap_remove(least));
                }
                continue;
            }
            if let Fate::Becomes(bucket) = fate {
                loader.push(source.key(), source.end(), &bucket)?;
            } else if source.is_tombstone() {
                loader.push_tombstone(source.key(), source.end())?;
            } else {
                loader.push(source.key(), source.end(), source.value()?)?;
            }
            keys.add(&user_key);
            run.first_start = run.first_start.min(start);
            run.last_end = run.last_end.max(source.end());
            run.entries += 1;
            run.bytes = run.bytes.saturating_add((source.key().len() + source.value()?.len()) as u64);
        }
        if !source.next()? {
            drop(open.swap_remove(least));
        }
    }
    if run.entries == 0 {
        return Ok(None);
    }
    run.root = loader.finish()?;
    Ok(Some((run, keys.filter())))
}

fn least(sources: &[Box<dyn Versions + '_>]) -> Option<usize> {
    (0..sources.len()).min_by(|&a, &b| sources[a].key().cmp(sources[b].key()))
}
