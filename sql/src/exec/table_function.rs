//! Functions that make rows: `json_each`, `json_tree`, `generate_series`, `sqlite_schema`, `pragma_..`.

use dosql_base::Result;

use super::batch::Batch;
use super::column::ColumnBuilder;
use super::context::{ExecContext, Frame};
use super::row::Row;
use super::subquery;
use crate::func::JsonRows;
use crate::plan::{Expr, Register, TableFunction};
use crate::storage::Storage;
use crate::value::{Value, ValueRef, to_integer};

/// A table function under way.
#[derive(Default)]
pub(crate) struct TableFunctionOp {
    source: Option<Source>,
    arguments: Vec<Value>,
    /// How many rows there were.
    rows: i64,
}

/// What a row is shown to: a function from column to value.
type TakeRow<'t> = dyn FnMut(&dyn Fn(usize) -> Value) + 't;

enum Source {
    Json(Box<JsonRows>),
    Series(Series),
    Rows(std::vec::IntoIter<Vec<Value>>),
}

/// generate_series(start, stop, step).
#[derive(Clone, Copy, Debug)]
struct Series {
    next: Option<i64>,
    start: i64,
    stop: i64,
    step: i64,
}

impl Series {
    /// A NULL argument makes no rows; a step of 0 is 1.
    fn of(arguments: &[Value]) -> Series {
        let integer =
            |at: usize, default: i64| arguments.get(at).map_or(default, |value| to_integer(value.as_ref()));
        let (start, stop) = (integer(0, 0), integer(1, i64::from(u32::MAX)));
        let step = match integer(2, 1) {
            0 => 1,
            step => step,
        };
        let none = arguments.is_empty() || arguments.iter().any(Value::is_null);
        let outside = if step > 0 { start > stop } else { start < stop };
        Series { next: (!none && !outside).then_some(start), start, stop, step }
    }

    fn row(&mut self) -> Option<[Value; 4]> {
        let value = self.next?;
        let next = value.checked_add(self.step);
        self.next = next.filter(|next| if self.step > 0 { *next <= self.stop } else { *next >= self.stop });
        Some([value, self.start, self.stop, self.step].map(Value::Integer))
    }
}

impl TableFunctionOp {
    pub(crate) fn next<S: Storage>(
        &mut self,
        function: TableFunction,
        arguments: &[Expr],
        columns: &[(usize, Register)],
        want: usize,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        cx.check_interrupt()?;
        let source = match &mut self.source {
            Some(source) => source,
            None => {
                self.arguments = subquery::arguments(arguments, &Row::bound(frame), cx)?;
                self.source.insert(Source::open(function, &self.arguments, cx)?)
            }
        };
        let mut builders = vec![ColumnBuilder::default(); columns.len()];
        let mut len = 0;
        let (rowid_at, first_rowid) = rowid(function);
        while len < want {
            let arguments = &self.arguments;
            let number = first_rowid + self.rows;
            let more = source.next(&mut |row: &dyn Fn(usize) -> Value| {
                for ((column, _), builder) in columns.iter().zip(&mut builders) {
                    let value = match function {
                        _ if *column == rowid_at => Value::Integer(number),
                        // The hidden columns are the arguments.
                        TableFunction::JsonEach | TableFunction::JsonTree if *column >= 8 => {
                            match (column, arguments.get(column - 8)) {
                                (_, Some(argument)) => argument.clone(),
                                (9, None) => Value::text("$"),
                                _ => Value::Null,
                            }
                        }
                        _ => row(*column),
                    };
                    builder.push(value.as_ref());
                }
            });
            if !more {
                break;
            }
            len += 1;
            self.rows += 1;
        }
        if len == 0 {
            return Ok(None);
        }
        let mut batch = Batch::new(len, 0);
        for ((_, register), builder) in columns.iter().zip(builders) {
            batch.set(*register, builder.finish());
        }
        Ok(Some(batch))
    }

    pub(crate) fn rewind(&mut self) {
        self.source = None;
        self.rows = 0;
    }
}

/// Where the rowid is, one past the columns, and what the first row's is.
fn rowid(function: TableFunction) -> (usize, i64) {
    match function {
        TableFunction::JsonEach | TableFunction::JsonTree => (10, 0),
        TableFunction::GenerateSeries => (4, 1),
        TableFunction::Pragma(pragma) => (
            crate::catalog::pragma::TABLE_PRAGMAS.get(pragma).map_or(0, |pragma| pragma.columns.len() + 2),
            1,
        ),
        // Its rows bring theirs.
        TableFunction::Schema => (usize::MAX, 0),
        TableFunction::State(_) => (8, 1),
        TableFunction::Log => (8, 1),
    }
}

impl Source {
    fn open<S: Storage>(
        function: TableFunction,
        arguments: &[Value],
        cx: &ExecContext<'_, S>,
    ) -> Result<Source> {
        let argument = |at: usize| arguments.get(at).map_or(ValueRef::Null, Value::as_ref);
        Ok(match function {
            TableFunction::JsonEach | TableFunction::JsonTree => {
                let path = if arguments.len() > 1 { argument(1) } else { ValueRef::Text("$") };
                let recursive = function == TableFunction::JsonTree;
                Source::Json(Box::new(JsonRows::new(argument(0), path, recursive)?))
            }
            TableFunction::GenerateSeries => Source::Series(Series::of(arguments)),
            TableFunction::Pragma(pragma) => {
                Source::Rows(crate::catalog::pragma::rows(pragma, arguments.first(), cx.catalog)?.into_iter())
            }
            TableFunction::Schema => Source::Rows(schema_rows(cx.catalog).into_iter()),
            TableFunction::Log => Source::Rows(super::commit_log::rows(argument(0), cx)?.into_iter()),
            TableFunction::State(table) => Source::Rows(cx.storage.state_rows(table)?.into_iter()),
        })
    }

    /// Shows the next row to `take` as a function from column to value; whether there was one.
    fn next(&mut self, take: &mut TakeRow<'_>) -> bool {
        match self {
            Source::Json(rows) => match rows.next() {
                Some(row) => {
                    take(&|column| match column {
                        0 => row.key.clone(),
                        1 => row.value.clone(),
                        2 => Value::text(row.kind),
                        3 => row.atom.clone(),
                        4 => Value::Integer(row.id),
                        5 => row.parent.into(),
                        6 => Value::text(&row.fullkey),
                        7 => Value::text(&row.path),
                        _ => Value::Null,
                    });
                    true
                }
                None => false,
            },
            Source::Series(series) => match series.row() {
                Some(row) => {
                    take(&|column| row.get(column).cloned().unwrap_or_default());
                    true
                }
                None => false,
            },
            Source::Rows(rows) => match rows.next() {
                Some(row) => {
                    take(&|column| row.get(column).cloned().unwrap_or_default());
                    true
                }
                None => false,
            },
        }
    }
}

/// The rows of `sqlite_schema`: type, name, tbl_name, rootpage, sql, and the rowid.
fn schema_rows(catalog: &crate::catalog::schema::Catalog) -> Vec<Vec<Value>> {
    let row = |object: &crate::catalog::store::Object| {
        let sql = if object.sql.is_empty() { Value::Null } else { Value::Text(object.sql.clone()) };
        vec![
            Value::text(object.kind.name()),
            Value::Text(object.name.clone()),
            Value::Text(object.table.clone()),
            Value::Integer(i64::from(object.space)),
            sql,
            Value::Integer(i64::from(object.sequence)),
        ]
    };
    catalog.objects.iter().map(row).collect()
}
