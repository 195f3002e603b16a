//! What a subscriber wants to see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::catalog::predicate::RowPredicate;
use dosql_sql::catalog::schema::{self, Place, SpaceId};
use dosql_sql::parse::ast::Versioning;

use super::change::{Position, Table};
use super::raw::check_history;
use super::schema::{Schema, column, key_columns, table};
use super::stream::Changes;
use crate::database::Database;

/// A feed that is being described: which changes of the database it shows. All, unless a table or a keyspace is named; then those
/// alone. Tables whose names begin with `sqlite_` are shown where they are named.
#[derive(Clone, Debug)]
pub struct Feed {
    database: Database,
    pub(crate) wanted: Wanted,
    pub(crate) watermarks: Option<Duration>,
}

impl Feed {
    pub(crate) fn new(database: &Database) -> Self {
        Feed { database: database.clone(), wanted: Wanted::default(), watermarks: None }
    }

    /// Shows a table, and what becomes of its schema.
    #[must_use]
    pub fn table(mut self, name: impl AsRef<str>) -> Self {
        self.wanted.table(name.as_ref());
        self
    }

    /// Shows these columns of a table and no others. Updates that change none of them are left out. A column that is marked `PII`
    /// is shown only where it is named here.
    #[must_use]
    pub fn columns<C: Into<String>>(
        mut self,
        table: impl AsRef<str>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        self.wanted.table(table.as_ref()).columns = Some(columns);
        self
    }

    /// Shows the rows of a table for which a condition in SQL is true. An update that makes it true inserts the row as far as the feed
    /// is concerned, one that makes it false deletes it. The condition may name any column of the table, shown or not.
    #[must_use]
    pub fn rows(mut self, table: impl AsRef<str>, condition: impl Into<String>) -> Self {
        self.wanted.table(table.as_ref()).condition = Some(condition.into());
        self
    }

    /// Shows a keyspace.
    #[must_use]
    pub fn keyspace(mut self, name: impl Into<String>) -> Self {
        self.wanted.keyspaces.insert(name.into());
        self
    }

    /// Tells up to where all was looked at, with [`super::Event::Watermark`], whenever there was nothing to show for so long.
    #[must_use]
    pub fn watermarks(mut self, every: Duration) -> Self {
        self.watermarks = Some(every);
        self
    }

    /// The changes after `position`: a Timestamp, or what [`Changes::reached`] said, which is exclusive. After 0 come the rows as they
    /// are now ([`super::Op::Read`]), then the changes since.
    ///
    /// # Errors
    /// Code `AsOfExpired` for a position that history no longer reaches, `AsOfFuture` for one to come, `Unsupported` where the database
    /// keeps no history, and what is wrong with the tables, columns and conditions named.
    pub fn after(self, position: impl Into<Position>) -> Result<Changes> {
        check_history(&self.database.0)?;
        Changes::open(self.database.0.clone(), self.wanted, self.watermarks, position.into())
    }
}

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// By lower-case name.
    tables: BTreeMap<String, WantedTable>,
    keyspaces: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct WantedTable {
    columns: Option<Vec<String>>,
    condition: Option<String>,
}

impl Wanted {
    fn table(&mut self, name: &str) -> &mut WantedTable {
        self.tables.entry(name.to_ascii_lowercase()).or_default()
    }

    /// These tables, each with the columns to show.
    pub(crate) fn of_tables(tables: &[(String, Option<Vec<String>>)]) -> Wanted {
        let mut wanted = Wanted::default();
        for (table, columns) in tables {
            wanted.table(table).columns.clone_from(columns);
        }
        wanted
    }

    fn is_everything(&self) -> bool {
        self.tables.is_empty() && self.keyspaces.is_empty()
    }

    pub(crate) fn shows_table(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.tables.contains_key(&name) || (self.is_everything() && !name.starts_with("sqlite_"))
    }

    pub(crate) fn shows_keyspace(&self, name: &str) -> bool {
        self.is_everything() || self.keyspaces.contains(name)
    }
}

/// A table as a feed shows it.
pub(crate) struct Shown {
    pub(crate) table: Arc<Table>,
    pub(crate) source: Arc<schema::Table>,
    /// Where the columns that are shown are among the source's.
    pub(crate) positions: Vec<usize>,
    /// The parts of the key that are shown; `None` stands for the rowid, an error for what is not shown.
    pub(crate) key: Vec<Result<Option<usize>, Hidden>>,
    pub(crate) condition: Option<RowPredicate>,
}

impl Shown {
    /// Whether all columns of the source are shown, in their order.
    pub(crate) fn is_whole(&self) -> bool {
        self.positions.len() == self.source.columns.len() && self.positions.is_sorted()
    }
}

/// Stands for a value that is not shown.
pub(crate) struct Hidden;

/// The tables that are shown, as they are in the schema of the moment.
pub(crate) struct Filter {
    pub(crate) wanted: Wanted,
    /// Of this schema.
    schema: Arc<Schema>,
    shown: BTreeMap<SpaceId, Option<Arc<Shown>>>,
}

impl Filter {
    /// Checks that what is wanted is there.
    pub(crate) fn new(wanted: Wanted, schema: &Arc<Schema>) -> Result<Filter> {
        let filter = Filter { wanted, schema: Arc::clone(schema), shown: BTreeMap::new() };
        for name in filter.wanted.tables.keys() {
            let Some(table) = schema.table_named(name) else {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    Code::Error,
                    format!("no such table: {name}; a feed shows tables that are there when it begins"),
                ));
            };
            if !keeps_versions(table) {
                let message =
                    format!("the changes of {} can't be told: it is WITHOUT SYSTEM VERSIONING", table.name);
                return Err(Error::unsupported(message));
            }
            filter.show(table)?;
        }
        Ok(filter)
    }

    /// How the table with this number is shown, if it is.
    pub(crate) fn shown(&mut self, schema: &Arc<Schema>, space: SpaceId) -> Result<Option<Arc<Shown>>> {
        if !Arc::ptr_eq(&self.schema, schema) {
            self.schema = Arc::clone(schema);
            self.shown.clear();
        }
        if let Some(shown) = self.shown.get(&space) {
            return Ok(shown.clone());
        }
        let table = schema.table(space).filter(|table| self.shows(table));
        let shown = table.map(|table| self.show(table).map(Arc::new)).transpose()?;
        self.shown.insert(space, shown.clone());
        Ok(shown)
    }

    /// Whether a table is shown: one that keeps no versions is not, since nobody knows what its rows were.
    pub(crate) fn shows(&self, table: &schema::Table) -> bool {
        self.wanted.shows_table(&table.name) && keeps_versions(table)
    }

    fn show(&self, source: &Arc<schema::Table>) -> Result<Shown> {
        let wanted = self.wanted.tables.get(&source.name.to_ascii_lowercase());
        let positions = positions(source, wanted.and_then(|wanted| wanted.columns.as_deref()))?;
        let condition = wanted.and_then(|wanted| wanted.condition.as_deref());
        let condition = condition.map(|sql| RowPredicate::bind(source, sql)).transpose()?;
        let visible = |part: Option<usize>| match part.and_then(|at| Some((at, source.columns.get(at)?))) {
            Some((at, found)) if column(found).pii && !positions.contains(&at) => Err(Hidden),
            _ => Ok(part),
        };
        Ok(Shown {
            table: Arc::new(table(source, self.schema.version(), &positions)),
            source: Arc::clone(source),
            key: key_columns(source).into_iter().map(visible).collect(),
            positions,
            condition,
        })
    }
}

fn keeps_versions(table: &schema::Table) -> bool {
    table.versioning != Versioning::Nothing
}

/// Where the columns to show are: those that are named, or all but personal ones.
fn positions(table: &schema::Table, named: Option<&[String]>) -> Result<Vec<usize>> {
    let stored = |at: &usize| table.columns[*at].place != Place::Virtual;
    let Some(named) = named else {
        let shown = |at: &usize| !column(&table.columns[*at]).pii;
        return Ok((0..table.columns.len()).filter(stored).filter(shown).collect());
    };
    let mut positions = Vec::new();
    for name in named {
        let found = table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        let Some(at) = found.filter(stored) else {
            return Err(Error::invalid(format!("no such stored column: {}.{name}", table.name)));
        };
        positions.push(at);
    }
    positions.sort_unstable();
    positions.dedup();
    Ok(positions)
}

impl Database {
    /// Describes a feed of changes; see [`crate::feed`].
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed::new(self)
    }

    /// All changes after `position`, as they become durable; see [`Feed::after`].
    pub fn changes(&self, position: impl Into<Position>) -> Result<Changes> {
        self.feed().after(position)
    }

    /// The earliest moment that history reaches: the first that can be read, and the first that changes can be told after.
    #[must_use]
    pub fn earliest(&self) -> Timestamp {
        self.0.horizon(&self.0.view())
    }
}
