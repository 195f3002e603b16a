//! Which objects go, and when: what no row names any more goes once a later checkpoint than the one that said so is durable, for until
//! then the state before might be gone back to, and once no reader holds it. What was stored but never named by a durable row, because of
//! a crash or an error, is found by its name.

use std::collections::BTreeSet;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::Ordering;
use dosql_base::{ErrorKind, Result};
use dosql_lsm::SegmentStore;

use super::published::AllPublished;
use super::segment::Segment;
use crate::engine::Engine;

/// Segments on their way out.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// No row names them since the last checkpoint.
    fresh: Vec<Arc<Segment>>,
    /// No row of the last checkpoint does.
    unnamed: Vec<Arc<Segment>>,
    /// Nor any of the one before.
    free: Vec<Arc<Segment>>,
}

/// The same, shared. Taken last of all locks.
pub(crate) type Exit = Mutex<Leaving>;

impl Leaving {
    pub(crate) fn add(&mut self, segments: impl IntoIterator<Item = Arc<Segment>>) {
        if weakened("object-gone-before-checkpoint") {
            return self.free.extend(segments);
        }
        self.fresh.extend(segments);
    }

    /// A checkpoint has become durable that was decided when `fresh` had so many.
    pub(crate) fn advance(&mut self, decided: usize) {
        self.free.append(&mut self.unnamed);
        if weakened("object-gone-too-early") {
            self.free.extend(self.fresh.drain(..decided.min(self.fresh.len())));
            return;
        }
        self.unnamed.extend(self.fresh.drain(..decided.min(self.fresh.len())));
    }

    pub(crate) fn decided(&self) -> usize {
        self.fresh.len()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.fresh.iter().chain(&self.unnamed).chain(&self.free)
    }

    /// Those that nobody needs any more, no published point either.
    fn take_free(&mut self, published: &AllPublished) -> Vec<Arc<Segment>> {
        let published = if weakened("published-objects-not-kept") { &AllPublished::new() } else { published };
        let named = |it: &Segment| published.values().any(|point| point.names().any(|name| *name == it.name));
        let needless =
            |it: &mut Arc<Segment>| Arc::strong_count(it) == 1 && !it.is_held_elsewhere() && !named(it);
        self.free.extract_if(.., needless).collect()
    }
}

impl Engine {
    /// Deletes the objects that nobody needs any more; returns how many.
    pub(crate) fn delete_unneeded(&self) -> Result<usize> {
        let gone = {
            let published = self.published.lock();
            self.exit.lock().take_free(&published)
        };
        let abandoned = self.tier.take_abandoned();
        let names: Vec<&str> =
            gone.iter().map(|segment| &segment.name).chain(&abandoned).map(String::as_str).collect();
        if names.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.tier.store.delete(&names) {
            self.exit.lock().free.extend(gone);
            self.tier.abandon(abandoned);
            return Err(error);
        }
        for segment in &gone {
            self.tier.forget(segment.id);
        }
        Ok(names.len())
    }

    /// The names of objects from before the database was opened that nothing names, neither a row nor a reader: left by a crash, or by an
    /// answer that got lost.
    ///
    /// Fails with `Fenced` where a later owner of the store has published: what it needs is not known here.
    pub(crate) fn orphans(&self) -> Result<Vec<String>> {
        let listed = self.tier.store.list(self.tier.prefix())?;
        self.check_not_fenced(&listed)?;
        let mut known: BTreeSet<String> = BTreeSet::new();
        {
            let committer = self.committer();
            for branch in committer.branches.values() {
                let tip = branch.tip.lock();
                known
                    .extend(tip.history.runs.iter().flat_map(|run| run.segments()).map(|it| it.name.clone()));
                known.extend(tip.live.segments().map(|it| it.segment.name.clone()));
            }
            known.extend(self.published.lock().values().flat_map(|point| point.names().cloned()));
            known.extend(self.exit.lock().all().map(|it| it.name.clone()));
        }
        let orphan = |name: &String| self.tier.is_from_before(name) && !known.contains(name);
        Ok(listed.into_iter().filter(orphan).collect())
    }

    /// Deletes what [`Engine::orphans`] finds; returns how many.
    pub(crate) fn collect_orphans(&self) -> Result<usize> {
        self.check_writable()?;
        let orphans = self.orphans()?;
        let names: Vec<&str> = orphans.iter().map(String::as_str).collect();
        if !names.is_empty() {
            self.tier.store.delete(&names)?;
        }
        Ok(names.len())
    }

    /// Deletes, once after each start, what a crash before it left.
    pub(crate) fn collect_what_was_left(&self) -> Result<()> {
        if self.options.hot_budget == 0 || self.collected.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        match self.collect_orphans() {
            // Who is fenced off collects nothing; publishing tells so.
            Err(error) if error.kind() == ErrorKind::Fenced => Ok(()),
            Err(error) => {
                self.collected.store(false, Ordering::Release);
                Err(error)
            }
            Ok(_) => Ok(()),
        }
    }
}
