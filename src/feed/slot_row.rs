//! The rows of feed slots, as the system tree has them: docs/FORMAT.md.

use std::sync::Arc;

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::{Error, Result, Timestamp};
use dosql_btree::{PageSnapshot, Root};

use super::change::Position;
use super::filter::Wanted;

/// The row of a slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlotRow {
    pub(crate) name: String,
    pub(crate) confirmed: Position,
    /// Where the log ended when that was confirmed.
    pub(super) log: u64,
    pub(super) max_lag_bytes: u64,
    pub(super) max_age: u64,
    pub(super) tables: Vec<(String, Option<Vec<String>>)>,
    /// Whether that was all that there was then.
    pub(super) caught_up: bool,
    /// The commit that wrote the row: known from where it is stored. Or a later one, where nothing but rows of slots was committed in between.
    pub(super) written: Timestamp,
}

/// All slots, by the key of their rows.
pub(crate) type Slots = Arc<[SlotRow]>;

impl SlotRow {
    pub(crate) const PREFIX: &[u8] = b"f";

    pub(crate) fn key(name: &str) -> Vec<u8> {
        [SlotRow::PREFIX, name.to_ascii_lowercase().as_bytes()].concat()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.name.as_bytes());
        put_varint(&mut out, self.confirmed.timestamp.as_micros());
        match &self.confirmed.snapshot {
            None => out.push(0),
            Some(key) => {
                out.push(1);
                put_bytes(&mut out, key);
            }
        }
        out.push(u8::from(self.caught_up));
        for number in [self.log, self.max_lag_bytes, self.max_age, self.tables.len() as u64] {
            put_varint(&mut out, number);
        }
        for (table, columns) in &self.tables {
            put_bytes(&mut out, table.as_bytes());
            put_varint(&mut out, columns.as_ref().map_or(0, |columns| columns.len() as u64 + 1));
            columns.iter().flatten().for_each(|column| put_bytes(&mut out, column.as_bytes()));
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SlotRow> {
        let mut reader = Reader::new(bytes, "a row of a feed");
        let name = reader.str()?.to_owned();
        let timestamp = Timestamp::from_micros(reader.varint()?);
        let snapshot = match reader.u8()? {
            0 => None,
            1 => Some(reader.bytes()?.to_vec()),
            kind => {
                return Err(Error::corrupt(
                    format!("a row of a feed has position kind {kind}"),
                    "system tree",
                ));
            }
        };
        let caught_up = reader.u8()? == 1;
        let (log, max_lag_bytes, max_age) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let mut tables = Vec::new();
        for _ in 0..reader.varint()? {
            let table = reader.str()?.to_owned();
            let mut columns = reader.varint()?.checked_sub(1).map(|count| (count, Vec::new()));
            if let Some((count, columns)) = &mut columns {
                for _ in 0..*count {
                    columns.push(reader.str()?.to_owned());
                }
            }
            tables.push((table, columns.map(|(_, columns)| columns)));
        }
        reader.finish()?;
        let confirmed = Position { timestamp, snapshot };
        let written = Timestamp::ZERO;
        Ok(SlotRow { name, confirmed, log, max_lag_bytes, max_age, tables, caught_up, written })
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// All commits up to here were confirmed. Confirming is a commit too, which is nothing to be told of.
    pub(super) fn known(&self) -> Timestamp {
        let confirmed = self.confirmed.timestamp;
        if self.caught_up { confirmed.max(self.written) } else { confirmed }
    }

    /// Where its reader goes on.
    pub(super) fn resume(&self) -> Position {
        match &self.confirmed.snapshot {
            Some(_) => self.confirmed.clone(),
            None => self.known().into(),
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted::of_tables(&self.tables)
    }
}

/// After a commit at `now` of nothing but the row of a slot, on top of one at `before`: who knew all there was knows this one too, so that
/// readers who confirm need not be told of each other.
pub(super) fn carry_on(old: &[SlotRow], new: &[SlotRow], before: Timestamp, now: Timestamp) -> Slots {
    let carried = |row: &SlotRow| {
        let known = old.iter().find(|old| old.name == row.name).filter(|old| old.confirmed == row.confirmed);
        let written = match known {
            Some(old) if old.caught_up && old.known() >= before => now,
            Some(old) => old.written.max(row.written),
            None => row.written,
        };
        SlotRow { written, ..row.clone() }
    };
    new.iter().map(carried).collect()
}

/// Reads all slots.
pub(crate) fn load(pages: &PageSnapshot, system: Root) -> Result<Slots> {
    let mut slots = Vec::new();
    let mut cursor = pages.cursor(system);
    let mut found = cursor.seek(SlotRow::PREFIX)?;
    while found && cursor.key().starts_with(SlotRow::PREFIX) {
        slots.push(SlotRow { written: cursor.version(), ..SlotRow::decode(cursor.value()?)? });
        found = cursor.next()?;
    }
    Ok(slots.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_feed_is_these_bytes() {
        let row = SlotRow {
            name: "Lake".to_owned(),
            confirmed: Position { timestamp: Timestamp::from_micros(300), snapshot: Some(vec![7]) },
            log: 5,
            max_lag_bytes: 6,
            max_age: 7,
            tables: vec![("t".to_owned(), None), ("u".to_owned(), Some(vec!["a".to_owned()]))],
            caught_up: true,
            written: Timestamp::ZERO,
        };
        let golden = b"\x04Lake\xAC\x02\x01\x01\x07\x01\x05\x06\x07\x02\x01t\x00\x01u\x02\x01a";
        assert_eq!(row.encode(), golden);
        assert_eq!(SlotRow::decode(golden).unwrap(), row);
        assert_eq!(SlotRow::key("Lake"), b"flake");
        for len in 0..golden.len() {
            assert!(SlotRow::decode(&golden[..len]).is_err(), "{len} bytes");
        }
    }
}
