//! A condition on the rows of one table, to be tried on rows that are at hand.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::{Env, Error, Result, Timestamp};

use super::bound::{Purpose, bind_alone};
use super::schema::{Catalog, Table};
use crate::exec::{ExecContext, Limits, StatementState, compute_virtual, evaluate_truth};
use crate::func;
use crate::parse::parse_expression;
use crate::plan::Expr;
use crate::storage::{Direction, KeyRange, Point, Storage, Visitor};
use crate::value::Value;

/// A bound condition: an expression over a table's columns, without subqueries and parameters, as a CHECK is.
#[derive(Clone, Debug)]
pub struct RowPredicate {
    table: Arc<Table>,
    expr: Arc<Expr>,
}

impl RowPredicate {
    /// Binds `sql` over the columns of `table`.
    ///
    /// # Errors
    /// A mistake in the text, a column that is not there, a subquery or a parameter.
    pub fn bind(table: &Arc<Table>, sql: &str) -> Result<RowPredicate> {
        let (ast, expr) = parse_expression(sql)?;
        let expr = bind_alone(&ast, sql, expr, Some(table), Purpose::Filter)?;
        Ok(RowPredicate { table: Arc::clone(table), expr: Arc::new(expr) })
    }

    /// Whether it is true for a row: the values of its columns by position, then its rowid. Fills in its virtual columns. NULL is
    /// not true.
    ///
    /// # Errors
    /// As functions in it fail.
    pub fn is_true(&self, row: &mut [Value], env: &Env, now: Timestamp) -> Result<bool> {
        let interrupt = AtomicBool::new(false);
        let mut context = ExecContext {
            storage: &NoStorage,
            functions: func::Context::new(env, now),
            parameters: &[],
            points: &[],
            limits: Limits::default(),
            interrupt: &interrupt,
            catalog: &Catalog::default(),
            state: &mut StatementState::new(),
        };
        compute_virtual(&self.table, row, &mut context)?;
        Ok(evaluate_truth(&self.expr, row, &[], &mut context)? == Some(true))
    }
}

/// What an expression that reads nothing runs over.
struct NoStorage;

fn nothing<T>() -> Result<T> {
    Err(Error::unsupported("a condition on single rows reads no tables"))
}

impl Storage for NoStorage {
    type Cursor = ();

    fn open_cursor(&self, _: Point, _: KeyRange, _: Direction) -> Result<()> {
        nothing()
    }

    fn visit(&self, (): &mut (), _: usize, _: &mut Visitor<'_>) -> Result<bool> {
        nothing()
    }

    fn seek(&self, (): &mut (), _: &[u8]) -> Result<()> {
        nothing()
    }

    fn get<R>(&self, _: Point, _: &[u8], _: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        nothing()
    }

    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<()> {
        nothing()
    }

    fn delete(&mut self, _: &[u8]) -> Result<()> {
        nothing()
    }

    fn savepoint(&mut self) -> Result<u64> {
        nothing()
    }

    fn rollback_to(&mut self, _: u64) -> Result<()> {
        nothing()
    }

    fn release(&mut self, _: u64) -> Result<()> {
        nothing()
    }

    fn estimate(&self, _: &KeyRange) -> Result<u64> {
        nothing()
    }

    fn resolve_point(&self, _: Timestamp) -> Result<Point> {
        nothing()
    }
}
