//! What the binder makes of SELECT, seen through `Query::describe`.

mod names;
mod plans;
mod types;

use std::sync::Arc;

use dosql_base::{Env, Error, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::Point;
use dosql_sql::bind::{BindContext, Catalogs, bind_select};
use dosql_sql::catalog::schema::{Catalog, Column, NotNull, Place, Table, View};
use dosql_sql::parse::{ast::Statement, parse_one};
use dosql_sql::plan::Query;
use dosql_sql::value::{Affinity, Collation, Text, Value};

/// A catalog that is the same at every time.
struct Fixed(Arc<Catalog>);

impl Catalogs for Fixed {
    fn live(&self) -> &Arc<Catalog> {
        &self.0
    }

    fn at(&self, point: Timestamp) -> Result<(Point, Arc<Catalog>)> {
        Ok((Point::Past(point), self.0.clone()))
    }
}

/// Columns are `name type [collation] [!]`; `*` in front marks the INTEGER PRIMARY KEY, `!` NOT NULL.
fn table(name: &str, columns: &[&str]) -> Arc<Table> {
    let mut rowid_alias = None;
    let column = |(at, text): (usize, &&str)| {
        let mut words = text.trim_start_matches('*').split(' ');
        if text.starts_with('*') {
            rowid_alias = Some(at);
        }
        let name = words.next().unwrap_or_default();
        let declared_type = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let collation = rest.first().and_then(|word| Collation::by_name(word)).unwrap_or_default();
        Column {
            name: Text::new(name),
            declared_type: Text::new(declared_type),
            affinity: Affinity::of_declared_type(declared_type),
            collation,
            not_null: text.ends_with('!').then_some(NotNull { conflict: None }),
            default: None,
            primary_key_position: usize::from(text.starts_with('*')),
            merge_add: false,
            generated: None,
            place: if text.starts_with('*') { Place::Rowid } else { Place::Row(at) },
            absent: Value::Null,
        }
    };
    let columns: Vec<Column> = columns.iter().enumerate().map(column).collect();
    Arc::new(Table {
        space: 16,
        name: Text::new(name),
        fields: columns.len(),
        columns,
        fields_from: None,
        generated: Vec::new(),
        temporary: false,
        rowid_alias,
        autoincrement: false,
        without_rowid: false,
        strict: false,
        versioning: Default::default(),
        primary_key: Vec::new(),
        primary_key_conflict: None,
        primary_key_rank: 0,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        sql: Text::default(),
        made_up: false,
    })
}

fn catalog() -> Fixed {
    let mut catalog = Catalog::default();
    for table in [
        table("t", &["*id INTEGER", "a INTEGER", "b TEXT", "c REAL", "d"]),
        table("u", &["*id INTEGER", "a INTEGER", "x TEXT nocase"]),
        table("n", &["k INTEGER !", "v TEXT"]),
    ] {
        catalog.tables.insert(table.name.clone(), table);
    }
    for sql in
        ["CREATE VIEW v(p, q) AS SELECT a, b || 'x' FROM t WHERE c > 1", "CREATE VIEW w AS SELECT * FROM w"]
    {
        let parsed = parse_one(sql).unwrap();
        let Statement::CreateView(view) = &parsed.statement else { panic!("{sql}") };
        let name = Text::new(parsed.ast.text(view.name.name));
        let view =
            View { name: name.clone(), sql: Text::new(sql), temporary: false, parsed: Arc::new(parsed) };
        catalog.views.insert(name, Arc::new(view));
    }
    Fixed(Arc::new(catalog))
}

fn bind(sql: &str) -> Result<Query> {
    let catalog = catalog();
    let parsed = parse_one(sql).expect(sql);
    let env = Env::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    let cx = BindContext::new(&catalog, &parsed.ast, sql, &env, Timestamp::from_micros(1));
    let Statement::Select(select) = parsed.statement else { panic!("{sql} is no SELECT") };
    bind_select(&cx, select, &[])
}

/// The plan of a SELECT, its lines without indentation joined by ` < `.
#[track_caller]
fn plan(sql: &str) -> String {
    let query = bind(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    query.describe().trim_end().lines().map(str::trim).collect::<Vec<_>>().join(" < ")
}

#[track_caller]
fn error(sql: &str) -> String {
    let error: Error = bind(sql).err().unwrap_or_else(|| panic!("{sql} binds"));
    error.message().to_owned()
}
