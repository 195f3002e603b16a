//! Stored objects into a [`Catalog`]: parses their SQL, binds their expressions and ties tables to their indexes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Error, Result};

use super::build::{build_index, build_table, key_index};
use super::definition::{TableDefinition, read_table};
use super::schema::{Catalog, Index, Table, Trigger, View};
use super::store::{CATALOG_SPACE, Object, ObjectKind, read_counters, read_objects};
use super::{made_up, temp};
use crate::parse::ast::{CreateTable, Parsed, Statement};
use crate::parse::parse_one;
use crate::storage::{Point, Storage};
use crate::value::Text;

/// `name` as the maps of a [`Catalog`] have it.
#[must_use]
pub(crate) fn lower(name: &str) -> Text {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Text::from(name.to_ascii_lowercase())
    } else {
        Text::new(name)
    }
}

/// What has rows.
pub(crate) enum Stored<'c> {
    Table(&'c Arc<Table>),
    View(&'c Arc<View>),
}

impl Catalog {
    /// Reads the catalog of `point`. What did not change since `previous` is taken from there.
    pub fn load<S: Storage>(storage: &S, point: Point, previous: Option<&Catalog>) -> Result<Catalog> {
        let mut version = read_counters(storage, point, CATALOG_SPACE)?.version;
        let mut objects = read_objects(storage, point, CATALOG_SPACE)?;
        if point == Point::Live {
            version = version.wrapping_add(read_counters(storage, point, temp::CATALOG)?.version << 32);
            objects.extend(read_objects(storage, point, temp::CATALOG)?);
        }
        let mut catalog = Catalog::of_objects(objects, previous)?;
        catalog.version = version;
        catalog.point = Some(point);
        Ok(catalog)
    }

    /// The catalog that these objects, in the order of their creation, make up.
    pub fn of_objects(objects: Vec<Object>, previous: Option<&Catalog>) -> Result<Catalog> {
        let mut catalog = Catalog::default();
        made_up::add_tables(&mut catalog);
        // Temporary tables come last, so that they hide others of their name.
        let mut of_table: BTreeMap<(bool, Text), Vec<&Object>> = BTreeMap::new();
        for object in objects.iter().filter(|o| matches!(o.kind, ObjectKind::Table | ObjectKind::Index)) {
            let key = (temp::is_temporary(object.sequence), lower(&object.table));
            of_table.entry(key).or_default().push(object);
        }
        for ((_, name), group) in &of_table {
            let table = match previous.and_then(|previous| unchanged(previous, name, group)) {
                Some(table) => table,
                None => Arc::new(load_table(group).map_err(|error| in_schema(error, name))?),
            };
            for index in &table.indexes {
                catalog.indexes.insert(lower(&index.name), Arc::clone(index));
            }
            if let Some(hidden) = catalog.tables.insert(name.clone(), table) {
                catalog.hidden.insert(name.clone(), hidden);
            }
        }
        for object in &objects {
            match object.kind {
                ObjectKind::View => {
                    let view = load_view(object, previous).map_err(|error| in_schema(error, &object.name))?;
                    catalog.views.insert(lower(&object.name), view);
                }
                ObjectKind::Trigger => {
                    let trigger =
                        load_trigger(object, previous).map_err(|error| in_schema(error, &object.name))?;
                    catalog.triggers.insert(lower(&object.name), trigger);
                }
                ObjectKind::Table | ObjectKind::Index => {}
            }
        }
        // The youngest first: in this order SQLite carries out actions.
        for object in objects.iter().rev().filter(|object| object.kind == ObjectKind::Table) {
            let name = &lower(&object.name);
            let table = catalog.tables.get(name).filter(|table| table.space == object.space);
            let Some(table) = table.cloned() else { continue };
            for (number, key) in table.foreign_keys.iter().enumerate().rev() {
                catalog.children.entry(lower(&key.parent)).or_default().push((name.clone(), number));
            }
        }
        catalog.objects = objects;
        Ok(catalog)
    }

    /// Whether foreign keys refer to this table.
    #[must_use]
    pub fn has_children(&self, table: &str) -> bool {
        !self.children.is_empty() && self.children.contains_key(&lower(table))
    }

    /// The tables with foreign keys that refer to this one, each with the number of the foreign key.
    #[must_use]
    pub fn children_of_table(&self, table: &str) -> Vec<(Arc<Table>, usize)> {
        if self.children.is_empty() {
            return Vec::new();
        }
        let children = self.children.get(&lower(table)).map_or(&[][..], Vec::as_slice);
        let found =
            children.iter().filter_map(|(name, number)| Some((Arc::clone(self.tables.get(name)?), *number)));
        found.collect()
    }

    /// The table that remembers the rowids of AUTOINCREMENT tables.
    #[must_use]
    pub fn sequence_table(&self, temporary: bool) -> Option<&Arc<Table>> {
        self.tables.get(if temporary { "sqlite_temp_sequence" } else { "sqlite_sequence" })
    }

    /// The stored object of this kind and name.
    #[must_use]
    pub fn object(&self, kind: ObjectKind, name: &str) -> Option<&Object> {
        self.objects.iter().rev().find(|o| o.kind == kind && o.name.eq_ignore_ascii_case(name))
    }

    /// The table of this name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(&lower(name))
    }

    /// The table of this name in a schema: `main`, `temp`, or whichever has it, temporary tables first.
    #[must_use]
    pub fn table_in(&self, schema: Option<&str>, name: &str) -> Option<&Arc<Table>> {
        let name = lower(name);
        let found = self.tables.get(&name);
        let Some(schema) = schema else { return found };
        let temporary = schema.eq_ignore_ascii_case("temp");
        if temporary && let Some(table) = found.filter(|table| table.made_up && !table.temporary) {
            return self.tables.get(table.name.replace("sqlite_", "sqlite_temp_").as_str());
        }
        found.filter(|table| table.temporary == temporary).or_else(|| match temporary {
            true => None,
            false => self.hidden.get(&name),
        })
    }

    /// What a FROM means by a lower-case name, in a schema or in whichever has it. What is temporary hides the rest.
    #[must_use]
    pub(crate) fn source_in(&self, schema: Option<&str>, name: &Text) -> Option<Stored<'_>> {
        let view = self
            .views
            .get(name)
            .filter(|view| schema.is_none_or(|schema| schema.eq_ignore_ascii_case("temp") == view.temporary));
        let table = self.table_in(schema, name);
        match (table, view) {
            (Some(table), Some(view)) if table.temporary || !view.temporary => Some(Stored::Table(table)),
            (_, Some(view)) => Some(Stored::View(view)),
            (table, None) => table.map(Stored::Table),
        }
    }

    /// The view of this name.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<&Arc<View>> {
        self.views.get(&lower(name))
    }

    /// The triggers of a table or view, in the order in which they fire: the newest first. Where there are a temporary and
    /// another table of this name, each has the triggers of its own schema.
    pub fn triggers_of(&self, table: &str, temporary: bool) -> Vec<Arc<Trigger>> {
        let table = lower(table);
        let hides = self.hidden.contains_key(&table);
        let own = |trigger: &&Arc<Trigger>| {
            trigger.table == table && (!hides || temp::is_temporary_sequence(trigger.sequence) == temporary)
        };
        let mut found: Vec<_> = self.triggers.values().filter(own).cloned().collect();
        found.sort_by_key(|trigger| std::cmp::Reverse(trigger.sequence));
        found
    }
}

fn in_schema(error: Error, name: &str) -> Error {
    let text = format!("malformed database schema ({name}) - {}", error.message());
    Error::new(error.kind(), error.code(), text)
}

fn parse_stored(object: &Object) -> Result<Parsed> {
    parse_one(&object.sql)
}

/// The table of `previous`, where its stored objects are the same as now.
fn unchanged(previous: &Catalog, name: &Text, group: &[&Object]) -> Option<Arc<Table>> {
    let table = previous.tables.get(name).filter(|table| !table.made_up)?;
    let old = previous.objects.iter().filter(|o| {
        matches!(o.kind, ObjectKind::Table | ObjectKind::Index)
            && temp::is_temporary(o.sequence) == table.temporary
            && lower(&o.table) == *name
    });
    old.eq(group.iter().copied()).then(|| Arc::clone(table))
}

fn load_table(group: &[&Object]) -> Result<Table> {
    let object = group
        .iter()
        .find(|object| object.kind == ObjectKind::Table)
        .ok_or_else(|| Error::corrupt("an index has no table", "catalog"))?;
    let parsed = parse_stored(object)?;
    let create = create_table(&parsed)?;
    let definition = read_table(&parsed.ast, &object.sql, create)?;
    let mut table = build_table(&definition, object, &parsed)?;
    let base = Arc::new(table.clone());
    for index in group.iter().filter(|object| object.kind == ObjectKind::Index) {
        table.indexes.push(Arc::new(load_index(&definition, &base, index)?));
    }
    // Those of constraints come first, in the order of creation within each kind.
    table.indexes.sort_by_key(|index| !index.sql.is_empty());
    Ok(table)
}

/// The CREATE TABLE that a stored table is made of.
pub(crate) fn create_table(parsed: &Parsed) -> Result<&CreateTable> {
    match &parsed.statement {
        Statement::CreateTable(create) => Ok(create),
        _ => Err(Error::corrupt("a table's stored SQL is another statement", "catalog")),
    }
}

fn load_index(definition: &TableDefinition, table: &Arc<Table>, object: &Object) -> Result<Index> {
    if object.sql.is_empty() {
        return key_index(definition, object);
    }
    let parsed = parse_stored(object)?;
    match &parsed.statement {
        Statement::CreateIndex(create) => build_index(table, object, &parsed, create),
        _ => Err(Error::corrupt("an index's stored SQL is another statement", "catalog")),
    }
}

fn load_view(object: &Object, previous: Option<&Catalog>) -> Result<Arc<View>> {
    let known = previous.and_then(|previous| previous.views.get(&lower(&object.name)));
    if let Some(view) =
        known.filter(|v| v.sql == object.sql && v.temporary == temp::is_temporary(object.sequence))
    {
        return Ok(Arc::clone(view));
    }
    let parsed = Arc::new(parse_stored(object)?);
    if !matches!(parsed.statement, Statement::CreateView(_)) {
        return Err(Error::corrupt("a view's stored SQL is another statement", "catalog"));
    }
    let temporary = temp::is_temporary(object.sequence);
    Ok(Arc::new(View { name: object.name.clone(), sql: object.sql.clone(), temporary, parsed }))
}

fn load_trigger(object: &Object, previous: Option<&Catalog>) -> Result<Arc<Trigger>> {
    let table = lower(&object.table);
    let sequence = u64::from(object.sequence);
    let known = previous.and_then(|previous| previous.triggers.get(&lower(&object.name)));
    if let Some(trigger) = known.filter(|t| t.sql == object.sql && t.table == table && t.sequence == sequence)
    {
        return Ok(Arc::clone(trigger));
    }
    let parsed = Arc::new(parse_stored(object)?);
    if !matches!(parsed.statement, Statement::CreateTrigger(_)) {
        return Err(Error::corrupt("a trigger's stored SQL is another statement", "catalog"));
    }
    let name = object.name.clone();
    Ok(Arc::new(Trigger { name, table, sql: object.sql.clone(), parsed, sequence }))
}
