//! The queries under construction.
//!
//! A statement's queries nest: a SELECT in an expression is a query of its own, with registers of its own, and reads values of
//! the row around it as arguments. [`Binder::lift`] carries an expression of an outer query into an inner one: each
//! query in between takes it as an argument and hands it on.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::cte::CteScope;
use super::ready::ReadyOperands;
use super::scope::{Item, Scope, ScopeId};
use super::{BindContext, RowScope};
use crate::catalog::schema::{Catalog, View};
use crate::parse::ast::{Ast, Span};
use crate::plan::{Expr, Register};
use crate::storage::{Point, ReadPoint};
use crate::value::Text;

/// How deep SELECTs may nest, views and CTEs included.
const MAX_NESTING: u32 = 64;
/// How many tables, views and subqueries a statement may read, those inside views counted at every use.
const MAX_SOURCES: u32 = 20_000;

/// The text and tree that something was written in.
#[derive(Clone)]
pub(crate) enum Source<'a> {
    /// The statement.
    Statement(&'a Ast, &'a str),
    /// A view's definition.
    View(Arc<View>),
}

impl Source<'_> {
    pub(crate) fn ast(&self) -> &Ast {
        match self {
            Source::Statement(ast, _) => ast,
            Source::View(view) => &view.parsed.ast,
        }
    }

    pub(crate) fn sql(&self) -> &str {
        match self {
            Source::Statement(_, sql) => sql,
            Source::View(view) => &view.sql,
        }
    }

    /// The schema in which its names without one are looked for.
    pub(crate) fn schema(&self, cx: &BindContext<'_>) -> Option<&'static str> {
        match self {
            Source::Statement(..) => cx.schema,
            Source::View(view) => (!view.temporary).then_some("main"),
        }
    }

    /// A mistake at `span`. Only the statement's own text has offsets that mean something to the caller.
    pub(crate) fn error(&self, span: Span, message: impl Into<String>) -> Error {
        self.place(span, Error::invalid(message))
    }

    pub(crate) fn place(&self, span: Span, error: Error) -> Error {
        match self {
            Source::Statement(..) if error.offset().is_none() => error.at_offset(span.start as usize),
            _ => error,
        }
    }
}

/// Where something stands: what names mean there, and the query that it belongs to.
#[derive(Clone)]
pub(crate) struct Site<'a> {
    pub(crate) source: Source<'a>,
    /// The innermost scope whose names are visible.
    pub(crate) scope: Option<ScopeId>,
    /// The innermost WITH.
    pub(crate) ctes: Option<usize>,
    /// The index into [`Binder::catalogs`].
    pub(crate) catalog: usize,
    /// The index into [`Binder::frames`].
    pub(crate) frame: usize,
}

/// A catalog that names are looked up in, and where what it names is read.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) read: ReadPoint,
    /// Where that is now.
    pub(crate) point: Point,
    pub(crate) catalog: Arc<Catalog>,
}

impl Seen {
    pub(crate) fn known(point: Point, catalog: Arc<Catalog>) -> Seen {
        Seen { read: ReadPoint::Known(point), point, catalog }
    }
}

/// A query under construction.
pub(crate) struct Frame {
    parent: usize,
    registers: u32,
    /// What the query reads of the one around it, in that one's terms.
    arguments: Vec<Expr>,
}

/// The frame of the given outer rows.
const OUTER: usize = 0;
/// The frame of the statement's query, or of the given rows.
const TOP: usize = 1;

pub(crate) struct Binder<'a> {
    pub(crate) cx: &'a BindContext<'a>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) scopes: Vec<Scope<'a>>,
    pub(crate) ctes: Vec<CteScope<'a>>,
    /// The live one, then those of the past that the statement reads.
    pub(crate) catalogs: Vec<Seen>,
    /// How many arguments the statement's query gets: the width of the outer rows.
    outer_width: u32,
    outer_scope: Option<ScopeId>,
    /// The views being bound, against circles.
    pub(crate) open_views: Vec<Text>,
    nesting: u32,
    sources: u32,
    /// Operands that are bound and wait for what they are operands of; see [`Binder::expr`].
    pub(crate) ready: ReadyOperands,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(cx: &'a BindContext<'a>, outer: &[RowScope]) -> Self {
        let frame = |parent| Frame { parent, registers: 0, arguments: Vec::new() };
        let mut binder = Binder {
            cx,
            frames: vec![frame(OUTER), frame(OUTER)],
            scopes: Vec::new(),
            ctes: Vec::new(),
            catalogs: vec![Seen::known(Point::Live, cx.catalog.live().clone())],
            outer_width: outer.iter().map(width).max().unwrap_or(0),
            outer_scope: None,
            open_views: Vec::new(),
            nesting: 0,
            sources: 0,
            ready: ReadyOperands::default(),
        };
        if !outer.is_empty() {
            let items = outer.iter().map(|row| Item::row(row, true)).collect();
            binder.outer_scope = Some(binder.add_scope(Scope::new(None, OUTER, items)));
        }
        binder
    }

    /// Where the statement itself stands.
    pub(crate) fn top_site(&self) -> Site<'a> {
        Site {
            source: Source::Statement(self.cx.ast, self.cx.sql),
            scope: self.outer_scope,
            ctes: None,
            catalog: 0,
            frame: TOP,
        }
    }

    /// Where an expression over given rows stands.
    pub(crate) fn site_with_rows(&mut self, rows: &[RowScope]) -> Site<'a> {
        let mut site = self.top_site();
        self.frames[TOP].registers = rows.iter().map(width).max().unwrap_or(0);
        let several = rows.len() > 1;
        let items = rows
            .iter()
            .map(|row| {
                let excluded = row.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("excluded"));
                Item::row(row, several && excluded)
            })
            .collect();
        site.scope = Some(self.add_scope(Scope::new(site.scope, TOP, items)));
        site
    }

    /// Whether rows of a trigger are around the statement.
    pub(crate) fn in_trigger(&self) -> bool {
        self.outer_scope.is_some()
    }

    pub(crate) fn add_scope(&mut self, scope: Scope<'a>) -> ScopeId {
        self.scopes.push(scope);
        ScopeId(self.scopes.len() - 1)
    }

    pub(crate) fn scope(&mut self, id: ScopeId) -> &mut Scope<'a> {
        &mut self.scopes[id.0]
    }

    /// A new register of the query `frame`.
    pub(crate) fn register(&mut self, frame: usize) -> Register {
        let frame = &mut self.frames[frame];
        frame.registers += 1;
        Register(frame.registers - 1)
    }

    /// A number that no other nested query of the statement has.
    pub(crate) fn next_id(&self) -> u32 {
        let id = self.cx.next_id.get();
        self.cx.next_id.set(id + 1);
        id
    }

    /// Opens a query inside the query `parent`.
    pub(crate) fn open_frame(&mut self, parent: usize) -> usize {
        self.frames.push(Frame { parent, registers: 0, arguments: Vec::new() });
        self.frames.len() - 1
    }

    /// Closes the query opened last: how many registers it has, and its arguments in the terms of its parent.
    pub(crate) fn close_frame(&mut self, frame: usize) -> (u32, Vec<Expr>) {
        self.frames.truncate(frame + 1);
        self.frames.pop().map_or((0, Vec::new()), |frame| (frame.registers, frame.arguments))
    }

    /// How many registers and arguments the statement's query has.
    pub(crate) fn top_extent(&self) -> (u32, u32) {
        (self.frames[TOP].registers, self.outer_width)
    }

    /// An expression of the query `from` as the query `to`, inside it, reads it.
    pub(crate) fn lift(&mut self, expr: Expr, from: usize, to: usize) -> Expr {
        if from == to || matches!(expr, Expr::Literal(_) | Expr::Parameter(_) | Expr::CurrentTime(_)) {
            return expr;
        }
        let mut path = Vec::new();
        let mut at = to;
        while at != from && at != OUTER {
            path.push(at);
            at = self.frames[at].parent;
        }
        path.into_iter().rev().fold(expr, |expr, frame| self.argument(expr, frame))
    }

    fn argument(&mut self, expr: Expr, frame: usize) -> Expr {
        if frame == TOP {
            // The caller hands the outer rows over whole: positions are given.
            let mut expr = expr;
            expr.replace(&mut |inner| match inner {
                Expr::Register(register) => Some(Expr::Outer(register.0)),
                _ => None,
            });
            return expr;
        }
        let arguments = &mut self.frames[frame].arguments;
        let known = arguments.iter().position(|argument| argument.same(&expr) && !expr.is_volatile());
        let position = known.unwrap_or_else(|| {
            arguments.push(expr);
            arguments.len() - 1
        });
        Expr::Outer(u32::try_from(position).unwrap_or(u32::MAX))
    }

    /// Counts a table, view or subquery, against growth without bound (a view that uses another twice, and so on).
    pub(crate) fn count_source(&mut self) -> Result<()> {
        self.sources += 1;
        if self.sources > MAX_SOURCES {
            return Err(Error::limit(format!(
                "a statement may read at most {MAX_SOURCES} tables and subqueries"
            )));
        }
        Ok(())
    }

    /// Runs `bind` one SELECT deeper.
    pub(crate) fn nested<T>(&mut self, bind: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting == MAX_NESTING {
            return Err(Error::limit(format!("SELECTs, views and CTEs nest deeper than {MAX_NESTING}")));
        }
        self.nesting += 1;
        let around = self.ready.begin();
        let result = bind(self);
        self.ready.end(around);
        self.nesting -= 1;
        result
    }
}

fn width(row: &RowScope) -> u32 {
    row.base + u32::try_from(row.table.columns.len()).unwrap_or(u32::MAX - 1) + 1
}
