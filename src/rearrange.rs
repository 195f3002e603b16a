//! Changes of pages that change no row: they are published as a commit is, though nothing is logged. Until the next checkpoint is durable a
//! crash takes them back.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::{PageWriter, Root};

use crate::branch::{Branch, Tip};
use crate::engine::{Committer, Engine};
use crate::view::View;

impl Engine {
    /// Publishes what `change` does to pages and to the system tree, whose root it is handed, under a version of its own. Where it fails, nothing has
    /// changed.
    pub(crate) fn rearrange<R>(
        &self,
        committer: &mut Committer,
        change: impl FnOnce(&mut PageWriter<'_>, Timestamp, &mut Root) -> Result<R>,
    ) -> Result<R> {
        let (version, mut system) = (committer.last.next(), committer.system);
        let mut writer = self.pages.writer();
        writer.begin(version);
        let done = change(&mut writer, version, &mut system)?;
        writer.publish(version).map_err(|error| self.poison(error))?;
        (committer.last, committer.system) = (version, system);
        Ok(done)
    }

    /// The same of the tree of a branch, whose rows stay what they are. Also returns the view of its last commit as it is now.
    pub(crate) fn rearrange_rows<R>(
        &self,
        committer: &mut Committer,
        branch: &Branch,
        tip: &mut Tip,
        change: impl FnOnce(&mut PageWriter<'_>, Timestamp, &mut Root) -> Result<R>,
    ) -> Result<(R, Arc<View>)> {
        let mut root = tip.root;
        let done = self.rearrange(committer, |writer, version, _| change(writer, version, &mut root))?;
        tip.root = root;
        let timestamp = tip.latest.timestamp;
        Ok((done, self.publish_view(committer, branch.number, tip, timestamp)))
    }
}
