//! Feeds in a life: slots on main that are made, followed and dropped, and feeds of branches. What a feed tells is what the commits after the confirmed one did, each of them whole.

use std::collections::{BTreeMap, BTreeSet};

use dosql::feed::{Change, Changes, Event, FeedState, NewFeed};
use dosql::{Code, DAY, Database, ErrorKind, Timestamp, Value};

use super::check::{Wrong, wrong};
use super::{Lived, World};
use crate::model::{Commit, History, State};

type Checked<T = ()> = Result<T, Wrong>;

/// What a commit did to an entry or a row: before and after.
type Made<K, V> = BTreeMap<K, (Option<V>, Option<V>)>;

fn name(number: u32) -> String {
    format!("feed{number}")
}

impl World {
    /// A slot is made, or dropped.
    pub(super) fn feed(&mut self, number: u32, make: bool) -> Lived {
        let head = self.history.head();
        let (mut marks, known) = ((*head.marks).clone(), head.marks.feeds.contains_key(&number));
        if make {
            marks.feeds.insert(number, head.at);
        } else {
            marks.feeds.remove(&number);
        }
        let db = self.db()?;
        // How long ago is the concern of clocks; what is kept, of this.
        let new = NewFeed { max_age: 100_000 * DAY, ..NewFeed::default() };
        let done = if make { db.create_feed(&name(number), &new) } else { db.drop_feed(&name(number)) };
        match done {
            Err(error) if error.kind() == ErrorKind::InvalidInput && known == make => Ok(()),
            Err(error) if self.keeps_no_history(&error) => Ok(()),
            Err(error) => self.not_marked(error, marks, "a feed"),
            Ok(()) if known == make => {
                Err(format!("{} was made twice, or dropped and was not there", name(number)))
            }
            Ok(()) => self.marked(marks),
        }
    }

    /// Reads so many changes of a slot, and confirms what was read.
    pub(super) fn follow(&mut self, number: u32, count: usize) -> Lived {
        let Some(&confirmed) = self.history.head().marks.feeds.get(&number) else { return Ok(()) };
        let db = self.db()?;
        let slot = match db.feed_slot(&name(number)) {
            Err(error) if self.keeps_no_history(&error) => return Ok(()),
            Err(error) if error.code() == Code::FeedLost && self.history.may_be_gone(confirmed) => {
                return Ok(());
            }
            slot => self.allow(slot, "a slot")?,
        };
        let Some(mut slot) = slot else { return Ok(()) };
        let told = told(slot.changes(), count, &self.history, confirmed);
        let Ok((reached, any)) = told else { return self.judge(told.map(drop), &name(number)) };
        let mut marks = (*self.history.head().marks).clone();
        marks.feeds.insert(number, reached);
        let before = db.last_commit();
        match slot.ack(reached) {
            Err(error) => self.not_marked(error, marks, "a confirmation"),
            Ok(()) if db.last_commit() > before => self.marked(marks),
            Ok(()) if !any => Ok(()),
            Ok(()) => Err(format!("{} was confirmed up to {reached} without a commit", name(number))),
        }
    }

    fn keeps_no_history(&self, error: &dosql::Error) -> bool {
        error.kind() == ErrorKind::Unsupported && self.settings.retention == 0
    }
}

/// The slots that there should be, and what each of them would tell now.
pub fn check(db: &Database, history: &History) -> Checked {
    let marks = &history.head().marks;
    // Between two commits one moment is as good as another.
    let place = |at: Timestamp| history.commits().partition_point(|commit| commit.at <= at);
    let found: Vec<_> = db.feeds().into_iter().map(|feed| (feed.name, place(feed.confirmed))).collect();
    let expected: Vec<_> = marks.feeds.iter().map(|(number, at)| (name(*number), place(*at))).collect();
    if found != expected {
        return wrong(format!("the feeds are {found:?}, and should be {expected:?}"));
    }
    for (feed, &confirmed) in db.feeds().iter().zip(marks.feeds.values()) {
        let name = &feed.name;
        match db.feed_slot(name) {
            // It keeps no history, so nobody is told anything.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) if feed.state == FeedState::Lost && history.may_be_gone(confirmed) => {
                if error.code() != Code::FeedLost {
                    return wrong(format!("{name} is lost, and says {error:?}"));
                }
            }
            slot => drop(told(slot?.changes(), usize::MAX, history, confirmed)?),
        }
    }
    Ok(())
}

/// Reads so many changes, which must be those of the commits after `after`; returns up to where they are whole, and whether there were any.
pub(super) fn told(
    changes: &mut Changes,
    count: usize,
    history: &History,
    after: Timestamp,
) -> Checked<(Timestamp, bool)> {
    let (mut commits, mut left) = (BTreeMap::<Timestamp, Vec<Change>>::new(), count);
    while left > 0
        && let Some(change) = changes.try_next()?
    {
        commits.entry(change.timestamp).or_default().push(change);
        left -= 1;
    }
    let reached = changes.reached().timestamp;
    // The last one may have been read in part.
    commits.retain(|at, _| *at <= reached);
    let any = !commits.is_empty();
    if left > 0 && reached < history.head().at {
        return wrong(format!("a feed ends at {reached}, before the last commit"));
    }
    let known = history.commits();
    let first = known.partition_point(|commit| commit.at <= after);
    for (place, commit) in known.iter().enumerate().skip(first).take_while(|(_, commit)| commit.at <= reached)
    {
        let before = match place.checked_sub(1) {
            Some(before) => known[before].state.clone(),
            None => State::default(),
        };
        judge(commit, &before, &commits.remove(&commit.at).unwrap_or_default())?;
    }
    match commits.first_key_value() {
        Some((at, _)) => wrong(format!("a feed tells of a commit at {at} that nobody made")),
        None => Ok((reached, any)),
    }
}

/// Whether these are the changes of a commit.
fn judge(commit: &Commit, before: &State, changes: &[Change]) -> Checked {
    let in_order = changes
        .iter()
        .enumerate()
        .all(|(at, change)| change.position == at as u64 && change.last == (at + 1 == changes.len()));
    if !in_order {
        return wrong(format!("the changes of {} are not numbered in their order", commit.at));
    }
    let (mut entries, mut rows, mut schema) = (Made::new(), Made::new(), BTreeSet::new());
    for change in changes {
        match &change.event {
            Event::Entry(entry) => {
                let value = |bytes: &Option<dosql::Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
                let key = (entry.keyspace.to_string(), entry.key.clone());
                entries.insert(key, (value(&entry.before), value(&entry.after)));
            }
            Event::Row(row) => {
                let Some(Value::Integer(id)) = row.key.first() else {
                    return wrong(format!("a row of {} has the key {:?}", row.table.name, row.key));
                };
                rows.insert((row.table.name.to_string(), *id), (row.before.clone(), row.after.clone()));
            }
            Event::Schema(change) => {
                schema.extend([change.name.to_string(), change.table.to_string()]);
                schema.extend(change.old_name.iter().map(ToString::to_string));
            }
            _ => {}
        }
    }
    if entries != changed_entries(before, &commit.state) {
        return wrong(format!("the feed tells of {} other changes of keys than it made", commit.at));
    }
    // What becomes of rows when their table changes is told by the change of the table.
    rows.retain(|(table, _), _| !schema.contains(table));
    let mut expected = changed_rows(before, &commit.state);
    expected.retain(|(table, _), _| !schema.contains(table));
    if rows != expected {
        let difference = super::check::difference(
            &rows.into_iter().collect::<Vec<_>>(),
            &expected.into_iter().collect::<Vec<_>>(),
        );
        return wrong(format!(
            "the feed tells of {} other changes of rows than it made: {difference}",
            commit.at
        ));
    }
    Ok(())
}

fn changed_entries(before: &State, after: &State) -> Made<(String, Vec<u8>), Vec<u8>> {
    let (mut changes, none) = (Made::new(), Default::default());
    for name in before.spaces.keys().chain(after.spaces.keys()) {
        let (old, new) = (before.spaces.get(name).unwrap_or(&none), after.spaces.get(name).unwrap_or(&none));
        for key in old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key)) {
            let value = |space: &crate::model::Space| space.get(key).map(|value| value.to_vec());
            changes.insert((name.clone(), key.clone()), (value(old), value(new)));
        }
    }
    changes
}

/// Of tables that are there before and after.
fn changed_rows(before: &State, after: &State) -> Made<(String, i64), Vec<Value>> {
    let mut changes = Made::new();
    for (name, new) in &after.tables {
        let Some(old) = before.tables.get(name) else { continue };
        for id in old.rows.keys().chain(new.rows.keys()).filter(|id| old.rows.get(*id) != new.rows.get(*id)) {
            let row = |table: &crate::model::Table| table.rows.get(id).map(|row| row.to_vec());
            changes.insert((name.clone(), *id), (row(old), row(new)));
        }
    }
    changes
}
