//! Published points, judged: each that the segment store shows can be read from it alone, and is the state of its moment.

use std::sync::Arc;

use dosql::stores::SegmentStore;
use dosql::{Database, Result};

use super::world::{World, keys};
use crate::crash::CrashSegments;

/// What is wrong with them.
pub(crate) fn judge(world: &World, database: &Database) -> Result<Vec<String>> {
    let store: Arc<dyn SegmentStore> = Arc::new(CrashSegments(world.disk().clone()));
    let mut mistakes = Vec::new();
    for point in Database::published(&store, Some(database.id()))? {
        let at = Some(point.at);
        let attached = Database::attach(Arc::clone(&store), Some(point.database), at, world.options())?;
        let known = |commit: &&super::lived::Commit| commit.at.is_some_and(|commit| commit <= point.at);
        let expected = world.lived.commits.iter().rev().find(known);
        let expected = expected.map(|commit| (*commit.state).clone()).unwrap_or_default();
        if keys(&attached, None)? != expected {
            mistakes.push(format!("what was published at {} is not the state of then", point.at));
        }
    }
    Ok(mistakes)
}
