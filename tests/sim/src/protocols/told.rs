//! What a feed tells, judged: after the rows of some moment it leads to those that there are, one change after the other, and each change
//! knows what it changes.

use dosql::feed::{Changes, Event, Op};
use dosql::{Database, Result, Timestamp};

use super::lived::State;
use super::world::{SPACE, keys};

/// What a feed came to.
#[derive(Default)]
pub(crate) struct Told {
    /// Rows of a snapshot that it told.
    pub(crate) read: usize,
    /// The first thing that is wrong with it.
    pub(crate) mistake: Option<String>,
}

impl Told {
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.mistake.get_or_insert_with(what);
    }
}

/// Applies what `changes` tell now of the keyspace to `rows`.
pub(crate) fn follow(changes: &mut Changes, rows: &mut State) -> Result<Told> {
    let mut told = Told::default();
    let (mut at, mut whole) = (changes.reached().timestamp, true);
    while let Some(change) = changes.try_next()? {
        if change.timestamp < at || (change.timestamp > at && !whole) {
            told.wrong(|| format!("a change at {} follows one at {at}", change.timestamp));
        }
        (at, whole) = (change.timestamp, change.last);
        let Event::Entry(entry) = change.event else { continue };
        if &*entry.keyspace != SPACE {
            continue;
        }
        let known = rows.get(&entry.key).map(Vec::as_slice);
        if entry.op == Op::Read {
            told.read += 1;
            if known != entry.after.as_deref() {
                told.wrong(|| format!("the snapshot of {at} shows another {:?}", entry.key));
            }
            continue;
        }
        if known != entry.before.as_deref() {
            told.wrong(|| format!("the change at {at} changes another {:?}", entry.key));
        }
        match entry.after {
            Some(value) => drop(rows.insert(entry.key, value.to_vec())),
            None => drop(rows.remove(&entry.key)),
        }
    }
    if !whole {
        told.wrong(|| format!("the commit at {at} is told in part"));
    }
    Ok(told)
}

/// Whether what is told after `at` leads from the rows of then to those of now; says what is wrong.
pub(crate) fn leads_on(database: &Database, at: Timestamp) -> Result<Option<String>> {
    let mut rows = keys(database, Some(at))?;
    let mut changes = database.feed().keyspace(SPACE).after(at)?;
    let told = follow(&mut changes, &mut rows)?;
    let leads = rows == keys(database, None)?;
    let mistake =
        told.mistake.or_else(|| (!leads).then(|| "it leads to something else than there is".to_owned()));
    Ok(mistake.map(|mistake| format!("the feed after {at}: {mistake}")))
}
