//! How long superseded versions stay readable, table by table.
//!
//! Most tables say nothing: [`crate::Options::retention`] holds for them, and for keyspaces. What the others say stands in their CREATE
//! TABLE; here it is by the numbers that their keys begin with, those of their indexes included. Where no table says anything, both maps
//! are empty and nobody looks further.
//!
//! ```text
//! Objects      the tables and indexes of the schema, as commits change it        the committer's own
//! Retention    number -> rule, number -> floor                                    shared with every view
//! ```
//!
//! The schema's own rows are kept as long as those of the table that is kept longest: who reads the past needs the schema of then.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use dosql_base::codec::{Reader, get_ordered_u32, put_varint};
use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_btree::{PageSnapshot, Root};
use dosql_sql::catalog::schema::SpaceId;
use dosql_sql::catalog::store::{
    CATALOG_SPACE, Object, ObjectKind, object_sequence, objects_range, read_object,
};
use dosql_sql::catalog::versioning::versioning_of;
use dosql_sql::parse::ast::Versioning;
use dosql_sql::value::Text;
use dosql_sql::value::describe_instant;

use crate::changes::Changes;

/// What a table's clause asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Versions stay for so many microseconds.
    For(u64),
    /// None are kept.
    Nothing,
}

/// A table that says something about its versions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) table: Text,
    pub(crate) keep: Keep,
}

/// Up to when versions of a table may be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    /// Those that ended at or before this, but for what tags keep.
    pub(crate) dropped: Timestamp,
    /// Those that ended at or before this, tags or not: until then none were kept.
    pub(crate) unkept: Timestamp,
    /// The last commit that erased rows: who has not been told it can't be told what is before it any more.
    pub(crate) erased: Timestamp,
}

impl Floor {
    /// Before this not everything is there.
    pub(crate) fn moment(self) -> Timestamp {
        self.dropped.max(self.unkept)
    }

    pub(crate) const PREFIX: &[u8] = b"r";

    /// The key of its row in the system tree.
    pub(crate) fn key(space: SpaceId) -> Vec<u8> {
        [Floor::PREFIX, &space.to_be_bytes()].concat()
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.dropped.as_micros());
        put_varint(&mut out, self.unkept.as_micros());
        put_varint(&mut out, self.erased.as_micros());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Floor> {
        let mut reader = Reader::new(bytes, "a table's floor of history");
        let dropped = Timestamp::from_micros(reader.varint()?);
        let unkept = Timestamp::from_micros(reader.varint()?);
        let erased = Timestamp::from_micros(reader.varint()?);
        reader.finish()?;
        Ok(Floor { dropped, unkept, erased })
    }
}

/// All floors of tables.
pub(crate) type Floors = BTreeMap<SpaceId, Floor>;

/// Reads the floors of all tables that have one.
pub(crate) fn load_floors(pages: &PageSnapshot, system: Root) -> Result<Floors> {
    let mut floors = Floors::new();
    let mut cursor = pages.cursor(system);
    let mut found = cursor.seek(Floor::PREFIX)?;
    while found && let Some(space) = cursor.key().strip_prefix(Floor::PREFIX) {
        let wrong =
            |_| Error::corrupt("the key of a table's floor of history is not well formed", "system tree");
        let space = SpaceId::from_be_bytes(space.try_into().map_err(wrong)?);
        floors.insert(space, Floor::decode(cursor.value()?)?);
        found = cursor.next()?;
    }
    Ok(floors)
}

/// A table or an index of the schema, as far as it matters here.
#[derive(Clone, Debug)]
struct Known {
    /// The table's name in small letters, for an index too.
    table: String,
    space: SpaceId,
    /// Of a table that says something.
    rule: Option<Rule>,
}

impl Known {
    fn of(object: &Object) -> Result<Option<Known>> {
        if !matches!(object.kind, ObjectKind::Table | ObjectKind::Index) {
            return Ok(None);
        }
        let keep = match versioning_of(object)? {
            Versioning::Database => None,
            Versioning::Retain(micros) => Some(Keep::For(micros)),
            Versioning::Nothing => Some(Keep::Nothing),
        };
        let rule = keep.map(|keep| Rule { table: object.name.clone(), keep });
        Ok(Some(Known { table: object.table.to_ascii_lowercase(), space: object.space, rule }))
    }
}

/// What a commit does to the schema: objects by their sequence, `None` for what goes.
pub(crate) struct SchemaChanges(Vec<(u32, Option<Known>)>);

impl SchemaChanges {
    /// Those among the changes of a commit; `None` where it leaves the schema alone. Cheap where the first key is none of a catalog.
    pub(crate) fn among(changes: &Changes) -> Result<Option<SchemaChanges>> {
        let first = changes.keys().next().and_then(|key| key.first().copied());
        if first.is_none_or(|first| u32::from(first) > CATALOG_SPACE) {
            return Ok(None);
        }
        let range = objects_range();
        let mut found = SchemaChanges(Vec::new());
        let (start, end) = (Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice()));
        for (key, value) in changes.range(start, end) {
            found.note(key, value)?;
        }
        Ok(Some(found))
    }

    /// None so far.
    pub(crate) fn none() -> SchemaChanges {
        SchemaChanges(Vec::new())
    }

    /// Takes a change of a row of the catalog along, where it is one of an object.
    pub(crate) fn note(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if let Some(sequence) = object_sequence(key) {
            let known = value.map(|value| Known::of(&read_object(key, value)?)).transpose()?.flatten();
            self.0.push((sequence, known));
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The tables and indexes of the schema, by sequence.
#[derive(Clone, Default)]
pub(crate) struct Objects(BTreeMap<u32, Known>);

impl Objects {
    /// Those of a tree.
    pub(crate) fn load(pages: &PageSnapshot, root: Root) -> Result<Objects> {
        let range = objects_range();
        let mut all = SchemaChanges::none();
        let mut cursor = pages.cursor(root);
        let mut found = cursor.seek(&range.start)?;
        while found && cursor.key() < range.end.as_slice() {
            if !cursor.is_tombstone() {
                all.note(cursor.key(), Some(cursor.value()?))?;
            }
            found = cursor.next()?;
        }
        let mut objects = Objects::default();
        objects.follow(all);
        Ok(objects)
    }

    pub(crate) fn follow(&mut self, changes: SchemaChanges) {
        for (sequence, known) in changes.0 {
            match known {
                Some(known) => self.0.insert(sequence, known),
                None => self.0.remove(&sequence),
            };
        }
    }

    /// The table that has this number, or an index of this number.
    pub(crate) fn table_of(&self, space: SpaceId) -> Option<&str> {
        self.0.values().find(|known| known.space == space).map(|known| known.table.as_str())
    }

    /// What is said, by the numbers of tables and indexes.
    fn rules(&self, default: u64) -> BTreeMap<SpaceId, Rule> {
        let said = self.0.values().filter_map(|known| Some((known.table.as_str(), known.rule.as_ref()?)));
        let said: BTreeMap<&str, &Rule> = said.collect();
        if said.is_empty() {
            return BTreeMap::new();
        }
        let of = |known: &Known| Some((known.space, (*said.get(known.table.as_str())?).clone()));
        let mut rules: BTreeMap<SpaceId, Rule> = self.0.values().filter_map(of).collect();
        let longest = said.values().filter_map(|rule| match rule.keep {
            Keep::For(micros) => Some(micros),
            Keep::Nothing => None,
        });
        if let Some(longest) = longest.max().filter(|longest| *longest > default) {
            for catalog in [0, CATALOG_SPACE] {
                let rule = Rule { table: Text::new_static("the schema"), keep: Keep::For(longest) };
                rules.insert(catalog, rule);
            }
        }
        rules
    }
}

/// What holds for which table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retention {
    rules: BTreeMap<SpaceId, Rule>,
    floors: Floors,
}

/// The number that a key begins with.
pub(crate) fn space_of(key: &[u8]) -> SpaceId {
    get_ordered_u32(key).map_or(0, |(space, _)| space)
}

impl Retention {
    /// From what is stored. `floor` is that of the whole history, `default` how long that is kept.
    pub(crate) fn new(objects: &Objects, floors: Floors, default: u64, floor: Timestamp) -> Arc<Retention> {
        let (rules, mut floors) = (objects.rules(default), floors);
        for (space, _) in rules.iter().filter(|(_, rule)| rule.keep != Keep::Nothing) {
            floors.entry(*space).or_insert(Floor { dropped: floor, ..Floor::default() });
        }
        Arc::new(Retention { rules, floors })
    }

    /// After the commit at `at`, which left the schema with these objects.
    pub(crate) fn after(
        &self,
        objects: &Objects,
        default: u64,
        at: Timestamp,
        floor: Timestamp,
    ) -> Arc<Retention> {
        let rules = objects.rules(default);
        let mut floors = self.floors.clone();
        for (space, rule) in &self.rules {
            let still = rules.get(space).is_some_and(|rule| rule.keep == Keep::Nothing);
            if rule.keep == Keep::Nothing && !still && !weakened("versions-thought-kept") {
                floors.entry(*space).or_default().unkept = at;
            }
        }
        for (space, rule) in &rules {
            let before = self.rules.get(space).is_some_and(|rule| rule.keep != Keep::Nothing);
            if rule.keep != Keep::Nothing && !before {
                // Until now it was kept as all others are.
                let known = floors.entry(*space).or_default();
                known.dropped = known.dropped.max(floor);
            }
        }
        Arc::new(Retention { rules, floors })
    }

    /// Whether all tables are alike.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.rules.is_empty() && self.floors.is_empty()
    }

    pub(crate) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = (SpaceId, &Rule)> {
        self.rules.iter().map(|(space, rule)| (*space, rule))
    }

    pub(crate) fn rule(&self, space: SpaceId) -> Option<&Rule> {
        self.rules.get(&space)
    }

    pub(crate) fn floors(&self) -> &Floors {
        &self.floors
    }

    pub(crate) fn floor(&self, space: SpaceId) -> Floor {
        self.floors.get(&space).copied().unwrap_or_default()
    }

    /// Whether some table keeps no versions.
    pub(crate) fn has_unkept(&self) -> bool {
        self.rules.values().any(|rule| rule.keep == Keep::Nothing)
    }

    /// Whether what is displaced under `key` is kept, where it would be `otherwise` but for what its table says, and `pinned` where that
    /// keeps nothing.
    pub(crate) fn keeps(&self, key: &[u8], otherwise: bool, pinned: bool) -> bool {
        match self.rule(space_of(key)).map(|rule| rule.keep) {
            Some(Keep::For(_)) => true,
            Some(Keep::Nothing) => pinned || weakened("unversioned-table-kept"),
            None => otherwise,
        }
    }

    /// With floors for tables that let go of versions before their time, and of whose rows some were erased.
    pub(crate) fn noting(&self, lowered: &[SpaceId], erased: Option<(SpaceId, Timestamp)>) -> Retention {
        let mut floors = self.floors.clone();
        for space in lowered {
            floors.entry(*space).or_default();
        }
        if let Some((space, at)) = erased {
            floors.entry(space).or_default().erased = at;
        }
        Retention { rules: self.rules.clone(), floors }
    }

    /// With the floors that a checkpoint leaves which has dropped what ended at or before what `dropped` says of each table, and before
    /// `floor` of all others.
    pub(crate) fn lowered(&self, dropped: impl Fn(SpaceId) -> Timestamp, floor: Timestamp) -> Retention {
        let mut floors = self.floors.clone();
        for (space, known) in &mut floors {
            known.dropped = known.dropped.max(dropped(*space));
        }
        floors.retain(|space, known| {
            self.rules.contains_key(space) || known.moment().max(known.erased) > floor
        });
        Retention { rules: self.rules.clone(), floors }
    }
}

/// Which versions of which tables a checkpoint or a copy keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Horizons(BTreeMap<SpaceId, Timestamp>);

impl Horizons {
    /// Those that ended after what `horizon` says of each table.
    pub(crate) fn new(retention: &Retention, horizon: impl Fn(Keep) -> Timestamp) -> Horizons {
        Horizons(retention.rules.iter().map(|(space, rule)| (*space, horizon(rule.keep))).collect())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets go of what ended at or before `horizon` of a table.
    pub(crate) fn set(&mut self, space: SpaceId, horizon: Timestamp) {
        self.0.insert(space, horizon);
    }

    /// Up to when versions go of the table that a key belongs to; `None` where that says nothing.
    pub(crate) fn of_key(&self, key: &[u8]) -> Option<Timestamp> {
        self.of_space(space_of(key))
    }

    pub(crate) fn of_space(&self, space: SpaceId) -> Option<Timestamp> {
        self.0.get(&space).copied()
    }

    /// Whether they are of the same tables as `earlier`, and none is before what that says.
    pub(crate) fn are_within(&self, earlier: &Horizons) -> bool {
        self.0.keys().eq(earlier.0.keys())
            && self.0.values().zip(earlier.0.values()).all(|(now, then)| now >= then)
    }

    /// The latest of all.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        self.0.values().max().copied()
    }

    /// The earliest of all.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.0.values().min().copied()
    }
}

/// What is said of a moment that the history of a table does not reach.
pub(crate) fn not_reached(table: &str, keep: Option<Keep>, at: Timestamp, horizon: Timestamp) -> Error {
    let message = match keep {
        Some(Keep::Nothing) => format!(
            "table {table} keeps no versions (WITHOUT SYSTEM VERSIONING): only its present can be read"
        ),
        _ => format!(
            "{} is before {}, the earliest time that the history of {table} still reaches; ask for a later one",
            describe_instant(at),
            describe_instant(horizon)
        ),
    };
    let code = if keep == Some(Keep::Nothing) { Code::AsOfUnkept } else { Code::AsOfExpired };
    Error::new(ErrorKind::InvalidInput, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_row_is_these_bytes() {
        let at = Timestamp::from_micros;
        let floor = Floor { dropped: at(300), unkept: at(5), erased: at(7) };
        assert_eq!(floor.encode(), b"\xAC\x02\x05\x07");
        assert_eq!(Floor::decode(&floor.encode()).unwrap(), floor);
        assert_eq!(Floor::key(0x0102), b"r\0\0\x01\x02");
        for len in 0..4 {
            assert!(Floor::decode(&floor.encode()[..len]).is_err(), "{len} bytes");
        }
    }
}
