//! Which table or keyspace a key belongs to, at each commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::codec::{get_ordered_u32, ordered_u32};
use dosql_base::{Result, Timestamp};
use dosql_sql::catalog::schema::{self, Catalog, IndexKey, Place, SpaceId};
use dosql_sql::catalog::store::{self, ObjectKind, is_catalog_key};
use dosql_sql::value::Text;
use dosql_sql::{Direction, Point};

use super::change::{Column, Object, Op, SchemaChange, Table};
use super::raw::Commit;
use crate::engine::Handle;
use crate::keyspace;
use crate::limits::FIRST_KEYSPACE;
use crate::transaction::{Begin, Transaction};

/// The schema at one moment.
pub(crate) struct Schema {
    catalog: Catalog,
    tables: BTreeMap<SpaceId, Arc<schema::Table>>,
}

impl Schema {
    fn at(transaction: &Transaction, previous: Option<&Catalog>) -> Result<Schema> {
        let mut catalog = Catalog::load(transaction, Point::Live, previous)?;
        // The version of the database's own schema, not of a connection's.
        catalog.version = store::read_counters(transaction, Point::Live, store::CATALOG_SPACE)?.version;
        let own = catalog.tables.values().filter(|table| !table.made_up);
        let tables = own.map(|table| (table.space, Arc::clone(table))).collect();
        Ok(Schema { catalog, tables })
    }

    pub(crate) fn version(&self) -> u64 {
        self.catalog.version
    }

    /// The table whose rows have this number in front; `None` for indexes and for what is not there.
    pub(crate) fn table(&self, space: SpaceId) -> Option<&Arc<schema::Table>> {
        self.tables.get(&space)
    }

    /// All tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<schema::Table>> {
        self.tables.values()
    }

    /// The table of this name, in any case.
    pub(crate) fn table_named(&self, name: &str) -> Option<&Arc<schema::Table>> {
        self.catalog.table(name).filter(|table| !table.made_up)
    }

    /// What there is, as events of a snapshot.
    pub(crate) fn all(&self) -> Vec<SchemaChange> {
        let versions = (self.version(), self.version());
        self.catalog.objects.iter().map(|object| self.describe(Op::Read, object, versions)).collect()
    }

    /// What made `newer` of this.
    fn changes_to(&self, newer: &Schema) -> Vec<SchemaChange> {
        let versions = (self.version(), newer.version());
        let by_sequence = |schema: &Schema| -> BTreeMap<u32, store::Object> {
            schema.catalog.objects.iter().map(|object| (object.sequence, object.clone())).collect()
        };
        let (old, new) = (by_sequence(self), by_sequence(newer));
        let gone = old.iter().filter(|(sequence, _)| !new.contains_key(sequence));
        let mut changes: Vec<SchemaChange> =
            gone.map(|(_, object)| self.describe(Op::Delete, object, versions)).collect();
        for (sequence, object) in &new {
            match old.get(sequence) {
                None => changes.push(newer.describe(Op::Insert, object, versions)),
                Some(before) if before != object => {
                    let mut change = newer.describe(Op::Update, object, versions);
                    change.old_name = (before.name != object.name).then(|| before.name.clone());
                    changes.push(change);
                }
                Some(_) => {}
            }
        }
        changes
    }

    fn describe(&self, op: Op, object: &store::Object, versions: (u64, u64)) -> SchemaChange {
        let table = self.tables.get(&object.space).filter(|_| object.kind == ObjectKind::Table);
        SchemaChange {
            op,
            object: match object.kind {
                ObjectKind::Table => Object::Table,
                ObjectKind::Index => Object::Index,
                ObjectKind::View => Object::View,
                ObjectKind::Trigger => Object::Trigger,
            },
            name: object.name.clone(),
            old_name: None,
            table: object.table.clone(),
            sql: object.sql.clone(),
            columns: table.filter(|_| op != Op::Delete).map_or_else(Vec::new, |table| columns(table)),
            versions,
        }
    }
}

/// A table's columns as a feed shows them.
fn columns(table: &schema::Table) -> Vec<Column> {
    table.columns.iter().filter(|column| column.place != Place::Virtual).map(column).collect()
}

pub(crate) fn column(column: &schema::Column) -> Column {
    let pii = column.declared_type.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("PII"));
    Column {
        name: column.name.clone(),
        declared_type: column.declared_type.clone(),
        nullable: column.not_null.is_none() && column.place != Place::Rowid,
        pii,
    }
}

/// The columns of a table's primary key, by position; `None` stands for the rowid.
pub(crate) fn key_columns(table: &schema::Table) -> Vec<Option<usize>> {
    if !table.without_rowid {
        return vec![table.rowid_alias];
    }
    let parts = table.primary_key.iter().map(|part| match part.key {
        IndexKey::Column(column) => Some(column),
        IndexKey::Rowid | IndexKey::Expr(_) => None,
    });
    parts.collect()
}

/// A table as a feed shows it, its columns those at `shown`.
pub(crate) fn table(table: &schema::Table, schema_version: u64, shown: &[usize]) -> Table {
    let name = |position: &Option<usize>| match position.and_then(|position| table.columns.get(position)) {
        Some(column) => column.name.clone(),
        None => Text::new("rowid"),
    };
    Table {
        name: table.name.clone(),
        schema_version,
        columns: shown.iter().filter_map(|&at| table.columns.get(at)).map(column).collect(),
        key: key_columns(table).iter().map(name).collect(),
    }
}

/// The schema as it was after the last commit that was looked at.
pub(crate) struct Schemas {
    pub(crate) now: Arc<Schema>,
    keyspaces: BTreeMap<u32, Arc<str>>,
}

impl Schemas {
    /// As of `at`.
    pub(crate) fn at(engine: &Handle, at: Timestamp) -> Result<Schemas> {
        let transaction = Transaction::begin(engine, Begin::ReadAt(at))?;
        let now = Arc::new(Schema::at(&transaction, None)?);
        let mut schemas = Schemas { now, keyspaces: BTreeMap::new() };
        let (range, direction) = (keyspace::catalog_range(), Direction::Forward);
        let mut scan = transaction.raw_scan(range, direction);
        transaction.raw_visit(&mut scan, usize::MAX, &mut |key, value| {
            schemas.note_keyspace(key, Some(value))?;
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(schemas)
    }

    /// The keyspace with this number.
    pub(crate) fn keyspace(&self, number: u32) -> Option<&Arc<str>> {
        self.keyspaces.get(&number)
    }

    fn note_keyspace(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if let (Some(name), Some(value)) = (keyspace::name_in_catalog(key), value) {
            self.keyspaces.insert(keyspace::decode_number(value)?, Arc::from(name));
        }
        Ok(())
    }

    /// Goes on to the schema after `commit`; returns what changed.
    pub(crate) fn follow(&mut self, engine: &Handle, commit: &Commit) -> Result<Vec<SchemaChange>> {
        let mut changed = false;
        for entry in &commit.entries {
            changed |= is_catalog_key(&entry.key);
            self.note_keyspace(&entry.key, entry.after.as_deref())?;
        }
        if !changed {
            return Ok(Vec::new());
        }
        let transaction = Transaction::begin(engine, Begin::ReadAt(commit.timestamp))?;
        let after = Schema::at(&transaction, Some(&self.now.catalog))?;
        let changes = self.now.changes_to(&after);
        self.now = Arc::new(after);
        Ok(changes)
    }
}

/// What the number in front of a key says that it belongs to, and the rest of the key.
pub(crate) enum Owner<'k> {
    Table(SpaceId, &'k [u8]),
    Keyspace(u32, &'k [u8]),
    /// One of the catalogs.
    Catalog,
}

impl Owner<'_> {
    pub(crate) fn of(key: &[u8]) -> Owner<'_> {
        match get_ordered_u32(key) {
            Some((number, len)) if number >= FIRST_KEYSPACE => Owner::Keyspace(number, &key[len..]),
            Some((number, len)) if number > store::CATALOG_SPACE => Owner::Table(number, &key[len..]),
            _ => Owner::Catalog,
        }
    }
}

/// The first key that belongs to no catalog.
pub(crate) fn first_data_key() -> Vec<u8> {
    let (prefix, len) = ordered_u32(store::CATALOG_SPACE + 1);
    prefix[..len].to_vec()
}
