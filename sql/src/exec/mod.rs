//! Running plans: operators that pull batches of rows, expressions over rows and over batches.
//!
//! ```text
//! run.rs       QueryRun: a query under way          direct.rs    point queries (point.rs), without operators
//! context.rs   what a step runs in                  operator.rs  the tree of operators
//! row.rs       expressions over one row             vector.rs    expressions over a batch (kernels.rs: the hot loops)
//! column.rs, batch.rs   rows as columns             keys.rs      keys to numbers: groups, joins, DISTINCT, IN
//! subquery.rs, nested.rs, inset.rs                  queries in expressions and in FROM
//! scan/  join/  aggregate.rs + calls.rs  window/  sort.rs  limit.rs  distinct.rs  compound.rs  recursive.rs
//! ```
//!
//! A run owns all its state and borrows nothing, so that it can wait between two steps. Where the storage answers
//! `WouldBlock`, the step fails with that and changes nothing that matters: calling it again goes on.

mod aggregate;
mod batch;
mod calls;
mod clock;
mod column;
mod commit_log;
mod compare;
mod compound;
mod context;
mod direct;
mod distinct;
mod inset;
mod join;
mod kernels;
mod keys;
mod limit;
mod nested;
mod operator;
pub(crate) mod point;
mod recursive;
mod registers;
mod row;
mod rowwise;
mod run;
mod scan;
mod sort;
mod subquery;
mod table_function;
mod vector;
mod versions;
mod window;

use dosql_base::Result;

pub use batch::Batch;
pub use context::{ExecContext, Limits, StatementState};
pub use run::QueryRun;
pub(crate) use {context::Val, row::arithmetic};

use crate::plan::Expr;
use crate::storage::Storage;
use crate::value::Value;

/// Evaluates an expression over one row: register n is `row[n]`, argument n `outer[n]`; those beyond the ends are NULL.
pub fn evaluate<S: Storage>(
    expr: &Expr,
    row: &[Value],
    outer: &[Value],
    cx: &mut ExecContext<'_, S>,
) -> Result<Value> {
    let row = row::Row { batch: None, bound: row, outer };
    Ok(row::eval(expr, &row, cx)?.into_value())
}

/// As [`evaluate`], for its truth; `None` is NULL.
pub fn evaluate_truth<S: Storage>(
    expr: &Expr,
    row: &[Value],
    outer: &[Value],
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<bool>> {
    row::truth(expr, &row::Row { batch: None, bound: row, outer }, cx)
}

/// Computes the virtual columns of a row of `table` whose other columns are in `values`, by position.
pub fn compute_virtual<S: Storage>(
    table: &crate::catalog::schema::Table,
    values: &mut [Value],
    cx: &mut ExecContext<'_, S>,
) -> Result<()> {
    scan::compute_virtual(table, values, cx)
}
