//! The check of a whole database: every page of every tree, and that the versions of each key follow one another.

use std::sync::Arc;

use dosql_base::{Error, ErrorKind, Result, Timestamp};
use dosql_btree::{PageSnapshot, Root, TreeCheck};

use crate::engine::Engine;
use crate::history::cursor::{MemtableCursor, RunCursor, Versions};
use crate::history::key;
use crate::manifest::{MAIN_BRANCH, Run};
use crate::recovery::Manifest;
use crate::tier::live::LiveSegment;
use crate::tier::report::told_keys;
use crate::view::View;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong; empty for a sound database.
    pub problems: Vec<String>,
    /// Current rows.
    pub rows: u64,
    /// Superseded versions.
    pub versions: u64,
    /// Pages of all trees.
    pub pages: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, text: String) {
        const MOST: usize = 100;
        if self.problems.len() < MOST {
            self.problems.push(text);
        }
    }

    /// Takes note of damage; any other failure ends the check.
    fn take<T>(&mut self, what: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.problem(format!("{what}: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn add_tree(&mut self, tree: &TreeCheck) {
        self.pages += tree.leaves + tree.inner + tree.overflow;
    }
}

pub(crate) fn verify(engine: &Engine) -> Result<Report> {
    engine.check_usable()?;
    // The newest view, with the roots and the count of pages that belong to it: no checkpoint may come between.
    let checkpointing = engine.checkpointing.lock();
    let (snapshot, views, system, tags, pages) = {
        let committer = engine.committer();
        let (views, tags) = (committer.latest_views(), Arc::clone(&committer.tags));
        (engine.pages.latest(), views, committer.system, tags, engine.pages.stats())
    };
    drop(checkpointing);
    let mut report = Report::default();
    check_tree(&mut report, &snapshot, "the system tree", system)?;
    for view in &views {
        let name = match view.branch {
            MAIN_BRANCH => "the tree of current rows".to_owned(),
            number => format!("the tree of branch {number}"),
        };
        if let Some(tree) = check_tree(&mut report, &view.pages, &name, view.root)? {
            report.rows += tree.entries;
        }
        if view.root.page() == system.page() && !view.root.is_empty() {
            report.problem(format!("{name} and the system tree have the same root"));
        }
        for run in view.history.runs.iter() {
            check_run(&mut report, view, run)?;
        }
        if let Some(beneath) = &view.beneath {
            for live in beneath.own.segments() {
                check_live(&mut report, engine, view, live)?;
            }
        }
    }
    let expected = pages.pages_used.saturating_sub(pages.free_list_pages);
    if report.is_sound() && report.pages != expected {
        report
            .problem(format!("{} pages are in trees, but {expected} are in use and not free", report.pages));
    }
    let manifest = Manifest::load(&snapshot, system, &engine.tier);
    if let Some(manifest) = report.take("the system rows", manifest)? {
        for view in &views {
            let runs = manifest.branches.get(&view.branch).map(|branch| &branch.runs[..]);
            if runs != Some(&view.history.runs[..]) {
                report.problem("the system rows name other history runs than those in use".to_owned());
            }
            let listed = manifest.branches.get(&view.branch).into_iter().flat_map(|it| it.live.segments());
            let used = view.beneath.iter().flat_map(|beneath| beneath.own.segments());
            if !listed.eq(used) {
                report.problem("the system rows name other live segments than those in use".to_owned());
            }
        }
        if manifest.branches.len() != views.len() {
            report.problem("the system rows name other branches than those in use".to_owned());
        }
        if manifest.tags != tags {
            report.problem("the system rows name other tags than those in use".to_owned());
        }
    }
    for view in &views {
        let walked = check_versions(&mut report, view);
        report.take("the history", walked)?;
    }
    Ok(report)
}

fn check_tree(
    report: &mut Report,
    pages: &PageSnapshot,
    name: &str,
    root: Root,
) -> Result<Option<TreeCheck>> {
    let checked = pages.check(root);
    let checked = report.take(name, checked)?;
    if let Some(tree) = &checked {
        report.add_tree(tree);
        if tree.entries != root.entries() {
            report.problem(format!(
                "{name} holds {} entries, its root says {}",
                tree.entries,
                root.entries()
            ));
        }
    }
    Ok(checked)
}

fn check_run(report: &mut Report, view: &View, run: &Run) -> Result<()> {
    let name = format!("history run {}", run.number);
    let mut entries: u64 = run.segments().iter().map(|segment| segment.entries).sum();
    for root in run.roots() {
        let tree = check_tree(report, &view.pages, &name, root)?;
        if run.segments().is_empty() {
            entries = tree.map_or(run.entries, |tree| tree.entries);
        }
    }
    if entries != run.entries {
        report.problem(format!("{name} holds {entries} versions, its row says {}", run.entries));
    }
    Ok(())
}

/// Reads all of a live segment: its rows are in order, as many as its row says, and none is newer than the branch.
fn check_live(report: &mut Report, engine: &Engine, view: &View, live: &LiveSegment) -> Result<()> {
    let name = format!("live segment {} ({})", live.segment.name, told_keys(engine, &live.segment));
    check_tree(report, &view.pages, &name, live.segment.tail)?;
    let read = || -> Result<u64> {
        let mut cursor = live.segment.open(&view.pages)?.cursor();
        let (mut here, mut entries, mut newest) = (cursor.first()?, 0, Timestamp::ZERO);
        while here && let Some(entry) = cursor.entry() {
            entries += 1;
            newest = newest.max(entry.start);
            here = cursor.next()?;
        }
        if newest > view.timestamp {
            return Err(Error::corrupt("it holds a row from after the last commit", name.as_str()));
        }
        Ok(entries)
    };
    if let Some(entries) = report.take(&name, read())?
        && entries != live.segment.entries
    {
        report.problem(format!("{name} holds {entries} rows, its row says {}", live.segment.entries));
    }
    Ok(())
}

/// Walks all versions in order, newest first within a key: each must end by the time the next newer one begins, the newest by the
/// time that the current row begins.
fn check_versions(report: &mut Report, view: &View) -> Result<()> {
    let mut sources: Vec<(Box<dyn Versions>, Option<Run>)> = Vec::new();
    for run in view.history.runs.iter() {
        sources.push((Box::new(RunCursor::new(run, &view.pages)), Some(run.clone())));
    }
    for memtable in view.history.memtables() {
        sources.push((Box::new(MemtableCursor::new(Arc::clone(memtable))), None));
    }
    let mut open = Vec::new();
    for (mut source, run) in sources {
        if source.seek(&[])? {
            open.push((source, run));
        }
    }
    let (mut key_now, mut key_before, mut first) = (Vec::new(), Vec::new(), true);
    let mut newer_start = Timestamp::MAX;
    while let Some(least) = (0..open.len()).min_by(|&a, &b| open[a].0.key().cmp(open[b].0.key())) {
        let (source, run) = &mut open[least];
        let start = key::decode(source.key(), &mut key_now)?;
        let end = source.end();
        // A memtable that grew since this view began tells of later times.
        if end <= view.timestamp {
            report.versions += 1;
            if key_now != key_before || std::mem::take(&mut first) {
                newer_start = current_start(view, &key_now)?;
                key_before.clone_from(&key_now);
            }
            if start >= end || end > newer_start {
                report
                    .problem(format!("a version of key {key_now:?} from {start} to {end} overlaps the next"));
            }
            if run.as_ref().is_some_and(|run| start < run.first_start || end > run.last_end) {
                report.problem(format!("a version of key {key_now:?} lies outside its run"));
            }
            source.value()?;
            newer_start = start;
        }
        if !source.next()? {
            drop(open.swap_remove(least));
        }
    }
    Ok(())
}

/// When the current row of `key` began; the end of time where there is none.
fn current_start(view: &View, key: &[u8]) -> Result<Timestamp> {
    let entry = view.pages.get(view.root, key)?;
    Ok(entry.map_or(Timestamp::MAX, |entry| entry.version()))
}
