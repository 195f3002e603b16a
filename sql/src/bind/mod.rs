//! From the syntax tree to a plan: what every name means, of which type every expression is, which rows every SELECT reads.
//!
//! ```text
//! binder.rs    Binder: the queries under construction, and how a value of an outer query reaches an inner one
//! scope.rs     what names a SELECT has, and finding them
//! typed.rs     Bound: an expression with its affinity and collation; the rules of comparisons
//! expr.rs      expressions         predicate.rs  comparisons, IN, BETWEEN, LIKE    call.rs  functions and aggregates
//! ready.rs     operands that wait for what they are operands of
//! window.rs    OVER                subquery.rs   nested queries in expressions     fold.rs  constants
//! from.rs      FROM and joins      source.rs     tables, views, CTEs, functions    as_of.rs points in the past
//! asked.rs     moments that a plan is run for  versions.rs  periods of the past: the versions of rows, and what differs
//! select.rs    SELECT              order.rs      ORDER BY and GROUP BY terms       compound.rs  UNION and its like
//! cte.rs       WITH, recursion     target.rs     what UPDATE, DELETE and RETURNING read
//! mixed.rs     the affinity of a compound's columns
//! ```
//!
//! A SELECT in a FROM is bound into the registers of the query around it, so that its rows need no copying and a simple one
//! leaves no trace but its tables and predicates. A SELECT in an expression is a query of its own.

mod as_of;
mod asked;
mod binder;
mod call;
mod compound;
mod cte;
mod expr;
mod fold;
mod from;
mod mixed;
mod order;
mod pragma;
mod predicate;
mod ready;
mod scope;
mod select;
mod source;
mod subquery;
mod target;
mod typed;
mod versions;
mod window;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use dosql_base::{Env, Error, Result, Timestamp};

use crate::catalog::schema::{Catalog, SpaceId, Table};
use crate::parse::ast::{AsOf, Ast, ExprId, List, ResultColumn, SelectId, With};
use crate::plan::{Expr, OutputColumn, Query};
use crate::storage::{Point, ReadPoint};
use crate::value::{Text, Value};

pub use asked::{Asked, Valid};
use binder::Binder;
pub(crate) use scope::is_rowid_name;
pub use target::{Extra, Target};

/// The catalog now and in the past.
pub trait Catalogs {
    /// The catalog that the transaction sees.
    fn live(&self) -> &Arc<Catalog>;

    /// The catalog at a point in the past, and that point as the storage reads it. Fails for points in the future or
    /// before what is kept.
    fn at(&self, point: Timestamp) -> Result<(Point, Arc<Catalog>)>;

    /// The catalog of another branch, and that as the storage reads it.
    fn branch(&self, name: &str) -> Result<(Point, Arc<Catalog>)> {
        Err(Error::invalid(format!("no such branch: {name}")))
    }

    /// The moments around a point at which the catalog was the same; `None` where that is not known.
    fn valid(&self, point: Point) -> Result<Option<Valid>> {
        let _ = point;
        Ok(None)
    }

    /// The earliest moment from which on all versions of a table are there.
    fn horizon_of(&self, space: SpaceId) -> Timestamp {
        let _ = space;
        Timestamp::ZERO
    }

    /// Refuses a point that the versions of a table do not reach.
    fn check_reach(&self, point: Point, space: SpaceId, name: &str) -> Result<()> {
        let _ = (point, space, name);
        Ok(())
    }

    /// The moment that a tag stands for.
    fn tag(&self, name: &str) -> Result<Timestamp> {
        Err(no_such_tag(name))
    }

    /// About how many rows the table of this space has now, for the planner; `None` where nobody knows.
    fn rows(&self, space: SpaceId) -> Option<u64> {
        let _ = space;
        None
    }
}

pub(crate) fn no_such_tag(name: &str) -> Error {
    Error::invalid(format!("no such tag: {name}"))
}

/// What binding needs to know besides the tree: one per statement.
pub struct BindContext<'a> {
    /// What tables there are.
    pub catalog: &'a dyn Catalogs,
    /// The tree.
    pub ast: &'a Ast,
    /// The text that the tree's spans point into.
    pub sql: &'a str,
    /// The values of the parameters, where they are known: AS OF may need them.
    pub parameters: Option<&'a [Value]>,
    /// For functions of constants.
    pub env: &'a Env,
    /// The moment of the statement, for AS OF expressions that say 'now'.
    pub now: Timestamp,
    /// `PRAGMA case_sensitive_like`.
    pub case_sensitive_like: bool,
    /// The schema in which names without one are looked for: `main` in a trigger of the database, which sees no temporary
    /// tables.
    pub schema: Option<&'static str>,
    /// Set by binding: a point in time depends on parameters or on the time of day, so that the statement must be bound
    /// anew, with `parameters`, each time it runs.
    pub needs_parameters: Cell<bool>,
    /// Moments that are asked for may be resolved when the statement runs: set for what runs with them.
    pub moments_may_move: Cell<bool>,
    /// Those moments.
    pub asked: RefCell<Vec<Asked>>,
    /// The next [`crate::plan::Subquery::id`]: unique in the statement.
    pub next_id: Cell<u32>,
}

impl<'a> BindContext<'a> {
    /// A context without parameter values.
    #[must_use]
    pub fn new(catalog: &'a dyn Catalogs, ast: &'a Ast, sql: &'a str, env: &'a Env, now: Timestamp) -> Self {
        BindContext {
            catalog,
            ast,
            sql,
            parameters: None,
            env,
            now,
            case_sensitive_like: false,
            schema: None,
            needs_parameters: Cell::new(false),
            moments_may_move: Cell::new(false),
            asked: RefCell::default(),
            next_id: Cell::new(0),
        }
    }

    /// Where what is asked for is to be read, once for all who ask for the same.
    pub(crate) fn ask(&self, asked: Asked) -> ReadPoint {
        let mut all = self.asked.borrow_mut();
        let known = all.iter().position(|known| known.is_same(&asked));
        let number = known.unwrap_or_else(|| {
            all.push(asked);
            all.len() - 1
        });
        ReadPoint::Asked(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Notes that a table is read there.
    pub(crate) fn note_read(&self, read: ReadPoint, table: &Arc<Table>) {
        let ReadPoint::Asked(number) = read else { return };
        if let Some(asked) = self.asked.borrow_mut().get_mut(number as usize) {
            asked.tables.push(Arc::clone(table));
        }
    }
}

/// A given row: what a constraint checks, what a trigger fires for, what was inserted. Column i of the row is at
/// `base + i`, the rowid at `base + columns.len()`.
#[derive(Clone, Debug)]
pub struct RowScope {
    /// What qualifies its columns: an alias, `new`, `old`, `excluded`; `None`: the table's name. Columns of `new`, `old` and
    /// of an `excluded` beside another row are found only where qualified.
    pub name: Option<Text>,
    /// The table.
    pub table: Arc<Table>,
    /// Where the row starts.
    pub base: u32,
}

/// The moment that a point of a statement means; `None` where it depends on parameters that are not known yet.
pub fn bind_point(cx: &BindContext<'_>, point: AsOf) -> Result<Option<Timestamp>> {
    let mut binder = Binder::new(cx, &[]);
    let site = binder.top_site();
    binder.point(&site, point)
}

/// Binds a SELECT. The `outer` rows are read with [`Expr::Outer`].
pub fn bind_select(cx: &BindContext<'_>, select: SelectId, outer: &[RowScope]) -> Result<Query> {
    let mut binder = Binder::new(cx, outer);
    let site = binder.top_site();
    binder.top_query(&site, select)
}

/// As [`bind_select`], for the SELECT of an INSERT that has a WITH of its own.
pub fn bind_select_with(
    cx: &BindContext<'_>,
    with: With,
    select: SelectId,
    outer: &[RowScope],
) -> Result<Query> {
    let mut binder = Binder::new(cx, outer);
    let mut site = binder.top_site();
    binder.open_with(&mut site, with)?;
    binder.top_query(&site, select)
}

/// Binds an expression over given rows, which it reads with [`Expr::Register`]; the `outer` rows with [`Expr::Outer`].
pub fn bind_expression(
    cx: &BindContext<'_>,
    expr: ExprId,
    rows: &[RowScope],
    outer: &[RowScope],
) -> Result<Expr> {
    let mut binder = Binder::new(cx, outer);
    let site = binder.site_with_rows(rows);
    Ok(binder.expr(&site, expr)?.expr)
}

/// As [`bind_expression`], for a value with `members` columns: `(1, 2)`, `(SELECT a, b ..)` or, with one member, any expression.
/// Its subqueries see the tables of `with`.
pub fn bind_members(
    cx: &BindContext<'_>,
    with: With,
    expr: ExprId,
    members: usize,
    rows: &[RowScope],
    outer: &[RowScope],
) -> Result<Vec<Expr>> {
    let mut binder = Binder::new(cx, outer);
    let mut site = binder.site_with_rows(rows);
    binder.open_with(&mut site, with)?;
    let bound = binder.assigned(&site, expr, members)?;
    Ok(bound.into_iter().map(|member| member.expr).collect())
}

/// Binds RETURNING over given rows.
pub fn bind_returning(
    cx: &BindContext<'_>,
    columns: List<ResultColumn>,
    rows: &[RowScope],
    outer: &[RowScope],
) -> Result<(Vec<Expr>, Vec<OutputColumn>)> {
    let mut binder = Binder::new(cx, outer);
    let site = binder.site_with_rows(rows);
    binder.returning(&site, columns)
}

/// Binds what an UPDATE or DELETE reads. The outputs are the rowid (NULL without one), then every column of the target by
/// position, then the extra expressions.
pub fn bind_target(cx: &BindContext<'_>, target: &Target<'_>, outer: &[RowScope]) -> Result<Query> {
    let mut binder = Binder::new(cx, outer);
    let site = binder.top_site();
    binder.target(&site, target)
}

/// The columns of a view, as a SELECT of all of them gives them.
pub fn bind_view_columns(cx: &BindContext<'_>, view: &str) -> Result<Vec<OutputColumn>> {
    let mut binder = Binder::new(cx, &[]);
    let site = binder.top_site();
    binder.view_columns(&site, view)
}
