//! FROM items that are versions of rows: `t FOR SYSTEM_TIME FROM a TO b`, `BETWEEN a AND b`, `ALL`, `dosql_history('t')`,
//! `dosql_diff('t', a, b)`. All show the rows in the schema of the period's end.

use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};

use super::binder::{Binder, Seen, Site};
use super::scope::{Columns, ListedColumn};
use super::source::{Made, Naming, PendingSource, listed};
use crate::catalog::schema::Table;
use crate::func::JsonResult;
use crate::parse::ast::{AsOf, ExprId, List, Period, QualifiedName, Span};
use crate::plan::{PeriodColumn, VersionPart};
use crate::storage::Point;
use crate::value::{Affinity, Collation, Text, Value, describe_instant};

/// A period whose ends are known: what began at or before `to` and ended after `from`.
#[derive(Clone, Copy)]
struct Ends {
    from: Timestamp,
    to: Timestamp,
}

/// Whether a name is that of a function that lists versions.
pub(crate) fn is_version_function(name: &str) -> bool {
    matches!(name, "dosql_history" | "dosql_diff" | "dosql_kept")
}

impl<'a> Binder<'a> {
    /// `name FOR SYSTEM_TIME ..`, other than AS OF.
    pub(crate) fn period_source(
        &mut self,
        site: &Site<'a>,
        name: QualifiedName,
        period: Period,
        naming: Naming,
    ) -> Result<PendingSource> {
        let source = site.source.clone();
        let (text, span) = (source.ast().text(name.name), source.ast()[name.name].span);
        let ends = match period {
            Period::FromTo(a, b) => self.ends(site, a, b, false)?,
            Period::Between(a, b) => self.ends(site, a, b, true)?,
            Period::AsOf(_) | Period::All => Some(None),
        };
        let (site, table) = self.versioned_table(site, text, ends.flatten().map(|ends| ends.to), span)?;
        let part = match ends {
            // The ends are not known yet: bound anew when they are.
            None => VersionPart::Versions { from: Timestamp::MAX, to: Timestamp::ZERO },
            Some(ends) => self.versions_between(&site, &table, ends, span)?,
        };
        let columns = version_columns(&table, true);
        let name = table.name.clone();
        Ok(self.made(&site, Made::Versions { table, part }, Columns::Listed(columns), name, naming))
    }

    /// `None` where they are not known yet.
    fn ends(&mut self, site: &Site<'a>, a: AsOf, b: AsOf, inclusive: bool) -> Result<Option<Option<Ends>>> {
        let (Some(from), Some(to)) = (self.point(site, a)?, self.point(site, b)?) else { return Ok(None) };
        let to = if inclusive { to } else { to.previous() };
        Ok(Some(Some(Ends { from, to })))
    }

    fn check_reach(&self, site: &Site<'a>, table: &Table, point: Point, span: Span) -> Result<()> {
        let reached = self.cx.catalog.check_reach(point, table.space, &table.name);
        reached.map_err(|error| site.source.place(span, error))
    }

    /// The versions of a table between two moments, or all that are kept.
    fn versions_between(
        &mut self,
        site: &Site<'a>,
        table: &Table,
        ends: Option<Ends>,
        span: Span,
    ) -> Result<VersionPart> {
        self.check_reach(site, table, Point::Past(Timestamp::MAX), span)?;
        let Some(Ends { from, to }) = ends else {
            let to = match self.catalogs[site.catalog].point {
                Point::Live | Point::Branch(_) => Timestamp::MAX,
                Point::Past(at) => at,
            };
            return Ok(VersionPart::Versions { from: self.cx.catalog.horizon_of(table.space), to });
        };
        if from <= to {
            let (point, _) = self.cx.catalog.at(from).map_err(|error| site.source.place(span, error))?;
            self.check_reach(site, table, point, span)?;
        }
        // A tag keeps its own moment, and nothing of what came between.
        let horizon = self.cx.catalog.horizon_of(table.space);
        if from < to && from < horizon {
            let message = format!(
                "the versions since {} are kept from {} on; ask for a later period",
                describe_instant(from),
                describe_instant(horizon)
            );
            let error = Error::new(ErrorKind::InvalidInput, Code::AsOfExpired, message);
            return Err(site.source.place(span, error));
        }
        Ok(VersionPart::Versions { from, to })
    }

    /// The table of this name at a moment, or now, and a site that sees the catalog of then.
    fn versioned_table(
        &mut self,
        site: &Site<'a>,
        name: &str,
        at: Option<Timestamp>,
        span: Span,
    ) -> Result<(Site<'a>, Arc<Table>)> {
        self.count_source()?;
        self.cx.needs_parameters.set(true);
        let site = match at {
            Some(at) => Site { catalog: self.catalog_at(site, at, span)?, ..site.clone() },
            None => site.clone(),
        };
        let Seen { point, catalog, .. } = self.catalogs[site.catalog].clone();
        let lower = Text::from(name.to_ascii_lowercase());
        let refused = |what: &str| Err(site.source.error(span, format!("{name} {what}: it has no versions")));
        match catalog.tables.get(&lower) {
            Some(table) if table.made_up => refused("is made up from the schema"),
            Some(table) if table.temporary => refused("is temporary"),
            Some(table) => Ok((site, table.clone())),
            None if catalog.views.contains_key(&lower) => refused("is a view"),
            None if self.find_cte(&site, name).is_some() => refused("is a query"),
            None => Err(super::source::no_such_table(&site.source, span, None, name, point)),
        }
    }

    /// `dosql_history('t')` and `dosql_diff('t', a [, b])`.
    pub(crate) fn version_function(
        &mut self,
        site: &Site<'a>,
        name: QualifiedName,
        arguments: List<ExprId>,
        naming: Naming,
    ) -> Result<PendingSource> {
        let source = site.source.clone();
        let ast = source.ast();
        let (function, span) = (ast.text(name.name).to_ascii_lowercase(), ast[name.name].span);
        let is_diff = function == "dosql_diff";
        let arguments = ast.list(arguments);
        let counts = if is_diff { 2..=3 } else { 1..=1 };
        if !counts.contains(&arguments.len()) {
            let rest = if is_diff { ", from [, to]" } else { "" };
            return Err(source.error(span, format!("write {function}('table'{rest})")));
        }
        let not_constant = "the name of the table must be a constant or a parameter";
        let table = match self.constant(site, arguments[0], not_constant)? {
            Some(Value::Text(table)) => table,
            // Its columns are those of a table that nobody knows yet.
            None => return Err(source.error(span, not_constant)),
            Some(_) => return Err(source.error(span, "the name of the table must be text")),
        };
        let mut points = Vec::new();
        for argument in &arguments[1..] {
            points.push(self.point_argument(site, *argument)?);
        }
        let known: Option<Vec<Timestamp>> = points.iter().copied().collect();
        let last = known.as_ref().and_then(|points| points.get(1)).copied();
        let (site, table) = self.versioned_table(site, &table, last, span)?;
        let (part, columns) = if is_diff {
            let part = match known {
                Some(points) => self.diff_between(&site, &table, points[0], last, span)?,
                None => VersionPart::Diff { from: Timestamp::MAX, to: Timestamp::ZERO },
            };
            (part, diff_columns(&table))
        } else {
            let part = match function.as_str() {
                // Whatever is there, whether it can be read as of its time or not.
                "dosql_kept" => VersionPart::Versions { from: Timestamp::ZERO, to: Timestamp::MAX },
                _ => self.versions_between(&site, &table, None, span)?,
            };
            (part, version_columns(&table, false))
        };
        let lower = Text::from(function);
        Ok(self.made(&site, Made::Versions { table, part }, Columns::Listed(columns), lower, naming))
    }

    /// What differs from one moment to another, or to now.
    fn diff_between(
        &mut self,
        site: &Site<'a>,
        table: &Arc<Table>,
        from: Timestamp,
        to: Option<Timestamp>,
        span: Span,
    ) -> Result<VersionPart> {
        let place = |error| site.source.place(span, error);
        let (point, before) = self.cx.catalog.at(from).map_err(place)?;
        self.check_reach(site, table, Point::Past(Timestamp::MAX), span)?;
        self.check_reach(site, table, point, span)?;
        let end = self.catalogs[site.catalog].point;
        self.check_reach(site, table, end, span)?;
        let lower = Text::from(table.name.to_ascii_lowercase());
        match before.tables.get(&lower) {
            Some(then) if then.space == table.space => {}
            Some(_) => {
                let message = format!("table {} was dropped and created anew in between", table.name);
                return Err(place(Error::new(ErrorKind::InvalidInput, Code::AsOfNoTable, message)));
            }
            None => return Err(super::source::no_such_table(&site.source, span, None, &table.name, point)),
        }
        let from = match point {
            Point::Past(at) => at,
            Point::Live | Point::Branch(_) => from,
        };
        Ok(VersionPart::Diff { from, to: to.unwrap_or(Timestamp::MAX) })
    }
}

/// The columns of a table, then those of the period.
fn version_columns(table: &Table, hidden: bool) -> Arc<[ListedColumn]> {
    let own = (0..table.columns.len()).map(|at| listed_column(table, at, ""));
    let period = PeriodColumn::ALL.into_iter().map(|column| ListedColumn {
        affinity: Some(if column.is_text() { Affinity::Text } else { Affinity::Integer }),
        settled: true,
        nullable: false,
        declared_type: Some(Text::new_static(if column.is_text() { "TEXT" } else { "INTEGER" })),
        ..listed(column.name(), hidden)
    });
    own.chain(period).collect()
}

/// What kind of difference, the columns before, the columns after.
fn diff_columns(table: &Table) -> Arc<[ListedColumn]> {
    let kind = ListedColumn { affinity: Some(Affinity::Text), ..listed("diff_type", false) };
    let side =
        |prefix: &'static str| (0..table.columns.len()).map(move |at| listed_column(table, at, prefix));
    std::iter::once(kind).chain(side("from_")).chain(side("to_")).collect()
}

fn listed_column(table: &Table, at: usize, prefix: &str) -> ListedColumn {
    let column = &table.columns[at];
    ListedColumn {
        name: Text::from(format!("{prefix}{}", column.name)),
        hidden: false,
        affinity: Some(column.affinity),
        settled: true,
        collation: Some(column.collation),
        json: JsonResult::No,
        nullable: true,
        declared_type: (!column.declared_type.is_empty()).then(|| column.declared_type.clone()),
        origin: None,
    }
}

/// What a column of the period is compared with.
pub(crate) fn period_affinity(column: PeriodColumn) -> (Affinity, Collation) {
    (if column.is_text() { Affinity::Text } else { Affinity::Integer }, Collation::Binary)
}
