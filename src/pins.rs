//! Who holds the horizon: what keeps superseded versions from being dropped.

use std::collections::BTreeMap;

use dosql_base::Timestamp;
use dosql_sql::catalog::schema::SpaceId;
use dosql_sql::catalog::store::CATALOG_SPACE;
use dosql_sql::value::{Text, Value, format_instant};

use crate::engine::Engine;
use crate::feed::FeedState;
use crate::view::View;

/// A row of a table about the database: texts, then a moment as a number and as text.
pub(crate) fn state_row(texts: &[&str], at: Timestamp) -> Vec<Value> {
    let mut row: Vec<Value> = texts.iter().map(|text| Value::Text(Text::new(text))).collect();
    row.push(Value::Integer(i64::try_from(at.as_micros()).unwrap_or(i64::MAX)));
    row.push(Value::Text(Text::from(format_instant(at))));
    row
}

impl Engine {
    /// The rows of `dosql_pins`, the oldest moment first: kind, name, lsn, time.
    pub(crate) fn pins(&self, view: &View) -> Vec<Vec<Value>> {
        let mut pins = vec![("retention", String::new(), self.horizon(view))];
        pins.extend(view.tags.iter().map(|tag| ("tag", tag.name.clone(), tag.at)));
        pins.extend(self.forks(view.branch).into_iter().map(|(name, at)| ("branch", name, at)));
        // Once for a table and its indexes.
        let named = view.retention.rules().filter(|(space, _)| *space > CATALOG_SPACE);
        let named: BTreeMap<&Text, SpaceId> = named.map(|(space, rule)| (&rule.table, space)).collect();
        pins.extend(
            named
                .into_iter()
                .map(|(table, space)| ("table", table.to_string(), self.horizon_of(view, space))),
        );
        let feeds = self.feeds().into_iter().filter(|feed| feed.state != FeedState::Lost);
        pins.extend(feeds.map(|feed| ("feed", feed.name, feed.confirmed)));
        pins.extend(self.readers.snapshots().into_iter().map(|at| ("snapshot", String::new(), at)));
        pins.sort_by_key(|(_, _, at)| *at);
        pins.iter().map(|(kind, name, at)| state_row(&[kind, name], *at)).collect()
    }
}
