//! The whole database against the model: present and past, tables and indexes, schema and space.

use std::collections::BTreeMap;

use dosql::{Code, Connection, Database, Result, Timestamp, Value};
use fastrand::Rng;

use super::client::query;
use super::feeds;
use crate::model::{AsOf, Column, Commit, Filter, History, How, State, Statement, Table, Text, Type};

/// What is checked at most of the past.
const PAST: usize = 6;
/// Values looked up in an index at most.
const LOOKUPS: usize = 6;

/// Checks everything that `db` holds; says what is wrong.
pub fn check(
    db: &Database,
    history: &History,
    spaces: u32,
    rng: &mut Rng,
) -> std::result::Result<(), String> {
    Check { db, history, spaces, rng }.all().map_err(|error| match error {
        Wrong::Engine(error) => format!("the check of the whole failed: {error:?}"),
        Wrong::Data(text) => text,
    })
}

/// What a check comes to where it is not well.
pub enum Wrong {
    /// It could not be made.
    Engine(dosql::Error),
    /// It found this.
    Data(String),
}

impl From<dosql::Error> for Wrong {
    fn from(error: dosql::Error) -> Self {
        Wrong::Engine(error)
    }
}

pub(super) fn wrong<T>(text: String) -> std::result::Result<T, Wrong> {
    Err(Wrong::Data(text))
}

struct Check<'a> {
    db: &'a Database,
    history: &'a History,
    spaces: u32,
    rng: &'a mut Rng,
}

impl Check<'_> {
    fn all(&mut self) -> std::result::Result<(), Wrong> {
        let connection = self.db.connect()?;
        let head = self.history.head();
        spaces(self.db, &self.db.read()?, &head.state, self.spaces)?;
        self.check_schema(&connection, &head.state)?;
        for (name, table) in &head.state.tables {
            self.check_table(&connection, name, table)?;
        }
        for view in head.state.views.keys() {
            compare(&connection, &head.state, &Statement::SelectView { view: view.clone() }, None)?;
        }
        self.check_tags(&connection)?;
        feeds::check(self.db, self.history)?;
        self.check_past(&connection)?;
        self.check_versions(&connection)?;
        let report = self.db.verify()?;
        if !report.is_sound() {
            return wrong(format!("verify found {:?}", report.problems));
        }
        self.check_space(report.pages)
    }

    fn check_schema(&self, connection: &Connection, state: &State) -> std::result::Result<(), Wrong> {
        let sql = "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
        let found = query(connection, &Text { sql: sql.to_string(), parameters: Vec::new() })?;
        let mut found: Vec<Vec<String>> = found.iter().map(|row| row.iter().map(text).collect()).collect();
        found.sort();
        let expected: Vec<Vec<String>> = state.schema().into_iter().map(Vec::from).collect();
        if found != expected {
            return wrong(format!("the schema is {found:?}, and should be {expected:?}"));
        }
        Ok(())
    }

    /// A table by its rows and by each of its indexes.
    fn check_table(
        &mut self,
        connection: &Connection,
        name: &str,
        table: &Table,
    ) -> std::result::Result<(), Wrong> {
        let state = &self.history.head().state;
        check_columns(connection, name, table)?;
        let select = |filter: Filter, how: How, backward: bool| {
            let table = name.to_string();
            compare(connection, state, &Statement::Select { table, filter, how, backward }, None)
        };
        select(Filter::All, How::NotIndexed, false)?;
        select(Filter::All, How::AsPlanned, true)?;
        for (index, definition) in &table.indexes {
            let Some(column) = definition.columns.first().and_then(|name| table.place(name)) else {
                continue;
            };
            let (by, name) = (How::By(index.clone()), &table.columns[column].name);
            // All that is in the index: what is not NULL, and what is.
            select(Filter::AtLeast(name.clone(), least(&table.columns[column])), by.clone(), false)?;
            select(Filter::IsNull(name.clone()), by.clone(), false)?;
            let mut rows: Vec<_> = table.rows.values().filter(|row| row[column] != Value::Null).collect();
            self.rng.shuffle(&mut rows);
            for row in rows.into_iter().take(LOOKUPS) {
                select(Filter::Equal(name.clone(), row[column].clone()), by.clone(), false)?;
            }
        }
        Ok(())
    }

    /// Retained commits: all where they are few, else a sample that holds the oldest and the newest.
    fn check_past(&mut self, connection: &Connection) -> std::result::Result<(), Wrong> {
        let commits = self.history.commits();
        let mut places: Vec<usize> = (0..commits.len()).collect();
        if places.len() > PAST {
            self.rng.shuffle(&mut places[1..commits.len() - 1]);
            places.swap(1, commits.len() - 1);
            places.truncate(PAST);
        }
        for place in places {
            let at = commits[place].at;
            match self.check_moment(connection, at) {
                Err(Wrong::Engine(error)) if expired(&error, at, self.history) => {}
                Err(Wrong::Engine(error)) => return wrong(format!("reading as of {at}: {error:?}")),
                result => result?,
            }
        }
        Ok(())
    }

    /// The tags that there should be, and what each keeps, however old.
    fn check_tags(&mut self, connection: &Connection) -> std::result::Result<(), Wrong> {
        let head = self.history.head();
        let found: Vec<_> = self.db.tags().into_iter().map(|tag| (tag.name, tag.at)).collect();
        let expected: Vec<_> =
            head.marks.tags.iter().map(|(number, at)| (format!("tag{number}"), *at)).collect();
        if found != expected {
            return wrong(format!("the tags are {found:?}, and should be {expected:?}"));
        }
        for (name, at) in expected {
            match self.check_moment(connection, at) {
                Err(Wrong::Engine(error)) => return wrong(format!("reading as of {name}, {at}: {error:?}")),
                result => result?,
            }
        }
        Ok(())
    }

    /// The versions of each table between two commits: those that the states between them show, one after the other.
    fn check_versions(&mut self, connection: &Connection) -> std::result::Result<(), Wrong> {
        let commits = self.history.commits();
        if commits.is_empty() {
            return Ok(());
        }
        let last = self.rng.usize(..commits.len());
        let first = self.rng.usize(last.saturating_sub(20)..=last);
        let span = &commits[first..=last];
        let (from, to) = (span[0].at, span[span.len() - 1].at);
        for (name, table) in &span[span.len() - 1].state.tables {
            // A table that was made, changed or renamed meanwhile has another past than its name tells.
            let same = |commit: &Commit| {
                let then = commit.state.tables.get(name);
                then.is_some_and(|then| {
                    then.columns == table.columns && then.without_rowid == table.without_rowid
                })
            };
            if !span.iter().all(same) {
                continue;
            }
            let sql = format!(
                "SELECT id, * FROM {name} FOR SYSTEM_TIME BETWEEN LSN {} AND LSN {} ORDER BY id, row_start_lsn",
                from.as_micros(),
                to.as_micros()
            );
            let mut found = match query(connection, &Text { sql, parameters: Vec::new() }) {
                // A tag keeps its moment alone.
                Err(error) if error.code() == Code::AsOfExpired && from < self.history.horizon() => {
                    return Ok(());
                }
                found => found?,
            };
            // A row that is written anew as it was, though in other bytes (with a column that was added since), is one to the model.
            let mut expected = versions(span, name);
            found.dedup();
            expected.dedup();
            if found != expected {
                let difference = difference(&found, &expected);
                return wrong(format!("the versions of {name} from {from} to {to}: {difference}"));
            }
        }
        Ok(())
    }

    fn check_moment(&mut self, connection: &Connection, at: Timestamp) -> std::result::Result<(), Wrong> {
        let state = self.history.state_at(at);
        spaces(self.db, &self.db.read_at(at)?, state, self.spaces)?;
        let as_of = if self.rng.bool() { AsOf::Lsn(at) } else { AsOf::Timestamp(at) };
        for (name, table) in &state.tables {
            let all = |filter| Statement::Select {
                table: name.clone(),
                filter,
                how: How::AsPlanned,
                backward: false,
            };
            compare(connection, state, &all(Filter::All), Some(as_of))?;
            let row = table.rows.values().next();
            if let Some((row, column)) = row.zip(table.columns.last())
                && row[table.columns.len() - 1] != Value::Null
            {
                let value = row[table.columns.len() - 1].clone();
                compare(connection, state, &all(Filter::Equal(column.name.clone(), value)), Some(as_of))?;
            }
        }
        // A table that was not there then is not there for a query of then either.
        let missing = self.history.head().state.tables.keys().find(|name| !state.tables.contains_key(*name));
        if let Some(name) = missing {
            let count = Statement::Count { table: name.clone(), filter: Filter::All };
            let text = count.text_as_of(as_of).expect("it is SQL");
            match query(connection, &text) {
                Err(error) if error.code() == Code::AsOfNoTable => {}
                other => return wrong(format!("{name} as of {at}, before it was made: {other:?}")),
            }
        }
        Ok(())
    }

    /// Pages in trees, free pages and pages of the free list are all the pages that there are.
    fn check_space(&self, in_trees: u64) -> std::result::Result<(), Wrong> {
        let pages = self.db.stats().pages;
        if in_trees + pages.free_list_pages != pages.pages_used {
            return wrong(format!("{in_trees} pages are in trees, but {pages:?}"));
        }
        Ok(())
    }
}

/// The rows that a table had in these states, each as long as it stayed the same, by id and then by time; the id in front.
fn versions(span: &[Commit], table: &str) -> Vec<Vec<Value>> {
    let mut lines: BTreeMap<i64, Vec<Option<Vec<Value>>>> = BTreeMap::new();
    for (place, commit) in span.iter().enumerate() {
        let Some(table) = commit.state.tables.get(table) else { continue };
        for (id, row) in table.rows.iter() {
            lines.entry(*id).or_default().resize(place, None);
            lines.entry(*id).or_default().push(Some(row.to_vec()));
        }
    }
    let mut versions = Vec::new();
    for (id, mut line) in lines {
        line.dedup();
        for row in line.into_iter().flatten() {
            versions.push(std::iter::once(Value::Integer(id)).chain(row).collect());
        }
    }
    versions
}

/// Every keyspace, from both ends.
pub fn spaces(
    db: &Database,
    read: &dosql::ReadTransaction,
    state: &State,
    count: u32,
) -> std::result::Result<(), Wrong> {
    for n in 0..count {
        let name = format!("space{n}");
        let space = db.keyspace(&name)?;
        let mut expected: Vec<_> = state.spaces.get(&name).map_or_else(Vec::new, |space| {
            space.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect()
        });
        let at = read.snapshot();
        let forward = read.iter(&space)?.collect::<Result<Vec<_>>>()?;
        if forward != expected {
            return wrong(format!("{name} as of {at}: {}", difference(&forward, &expected)));
        }
        expected.reverse();
        let backward = read.range_rev::<Vec<u8>>(&space, ..)?.collect::<Result<Vec<_>>>()?;
        if backward != expected {
            return wrong(format!("{name} backwards as of {at}: {}", difference(&backward, &expected)));
        }
    }
    Ok(())
}

/// Whether this error is what a read of a moment before the horizon may get.
pub fn expired(error: &dosql::Error, at: Timestamp, history: &History) -> bool {
    error.code() == Code::AsOfExpired && at < history.horizon() && !history.is_tagged(at)
}

fn check_columns(connection: &Connection, name: &str, table: &Table) -> std::result::Result<(), Wrong> {
    let sql = format!("SELECT name FROM pragma_table_info('{name}')");
    let found = query(connection, &Text { sql, parameters: Vec::new() })?;
    let found: Vec<String> = found.iter().map(|row| text(&row[0])).collect();
    let expected: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    if found != expected {
        return wrong(format!("{name} has the columns {found:?}, and should have {expected:?}"));
    }
    Ok(())
}

/// Asks the engine and the model the same.
pub fn compare(
    connection: &Connection,
    state: &State,
    statement: &Statement,
    at: Option<AsOf>,
) -> std::result::Result<(), Wrong> {
    let text = match at {
        None => statement.text(),
        Some(at) => statement.text_as_of(at),
    };
    let text = text.expect("it is SQL");
    let found = query(connection, &text)?;
    let expected = match state.clone().apply(statement) {
        crate::model::Answer::Rows(rows) => rows,
        other => return wrong(format!("the model answers {other:?} to {statement:?}")),
    };
    if found != expected {
        return wrong(format!("{} with {:?}: {}", text.sql, text.parameters, difference(&found, &expected)));
    }
    Ok(())
}

/// What SQL puts before every value of the column's type.
fn least(column: &Column) -> Value {
    match column.kind {
        Type::Integer => Value::Integer(i64::MIN),
        Type::Real => Value::Real(f64::MIN),
        Type::Text => Value::text(""),
        Type::Blob => Value::blob(Vec::new()),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

/// The first place where two lists differ.
pub fn difference<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T]) -> String {
    let place = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let short = |item: Option<&T>| {
        let text = item.map_or("nothing".to_string(), |item| format!("{item:?}"));
        text.chars().take(300).collect::<String>()
    };
    format!(
        "{} found, {} expected; item {place} is {}, and should be {}",
        found.len(),
        expected.len(),
        short(found.get(place)),
        short(expected.get(place))
    )
}
