//! Tables that the catalog makes up: `sqlite_schema` and its other names.

use std::sync::Arc;

use super::load::lower;
use super::schema::{Catalog, Column, Place, Table};
use crate::parse::ast::Versioning;
use crate::value::{Affinity, Collation, Text, Value};

/// The names that show the schema; the second pair shows temporary objects only.
const NAMES: [(&str, bool); 4] = [
    ("sqlite_schema", false),
    ("sqlite_master", false),
    ("sqlite_temp_schema", true),
    ("sqlite_temp_master", true),
];

const COLUMNS: [(&str, &str, Affinity); 5] = [
    ("type", "TEXT", Affinity::Text),
    ("name", "TEXT", Affinity::Text),
    ("tbl_name", "TEXT", Affinity::Text),
    ("rootpage", "INT", Affinity::Integer),
    ("sql", "TEXT", Affinity::Text),
];

/// Adds the made-up tables.
pub(crate) fn add_tables(catalog: &mut Catalog) {
    for (name, temporary) in NAMES {
        catalog.tables.insert(lower(name), Arc::new(schema_table(name, temporary)));
    }
}

fn schema_table(name: &str, temporary: bool) -> Table {
    let column = |(field, (name, declared, affinity)): (usize, (&str, &str, Affinity))| Column {
        name: Text::new(name),
        declared_type: Text::new(declared),
        affinity,
        collation: Collation::Binary,
        not_null: None,
        default: None,
        primary_key_position: 0,
        merge_add: false,
        generated: None,
        place: Place::Row(field),
        absent: Value::Null,
    };
    Table {
        space: 0,
        name: Text::new(name),
        columns: COLUMNS.into_iter().enumerate().map(column).collect(),
        fields: COLUMNS.len(),
        fields_from: None,
        generated: Vec::new(),
        temporary,
        rowid_alias: None,
        autoincrement: false,
        without_rowid: false,
        strict: false,
        versioning: Versioning::Database,
        primary_key: Vec::new(),
        primary_key_conflict: None,
        primary_key_rank: 0,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        sql: Text::new("CREATE TABLE sqlite_schema(type text,name text,tbl_name text,rootpage int,sql text)"),
        made_up: true,
    }
}

/// What errors call a made-up table: by the older of its names, as SQLite does.
pub(crate) fn old_name(name: &str) -> &str {
    match name {
        "sqlite_schema" => "sqlite_master",
        "sqlite_temp_schema" => "sqlite_temp_master",
        name => name,
    }
}

impl Catalog {
    /// The rows of `sqlite_schema` (or of `sqlite_temp_schema`): type, name, tbl_name, rootpage, sql.
    #[must_use]
    pub fn schema_rows(&self, temporary: bool) -> Vec<[Value; 5]> {
        let wanted = |object: &&super::store::Object| super::temp::is_temporary(object.sequence) == temporary;
        let row = |object: &super::store::Object| {
            let sql = if object.sql.is_empty() { Value::Null } else { Value::Text(object.sql.clone()) };
            [
                Value::text(object.kind.name()),
                Value::Text(object.name.clone()),
                Value::Text(object.table.clone()),
                Value::Integer(i64::from(object.space)),
                sql,
            ]
        };
        self.objects.iter().filter(wanted).map(row).collect()
    }
}
