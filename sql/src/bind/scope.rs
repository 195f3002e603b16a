//! The names that a SELECT has, and finding them.
//!
//! ```text
//! Scope (one SELECT) ── items: t AS x, (SELECT ..) AS y, ..      columns, then rowid, then result aliases
//!   └── parent: the SELECT around it                             then outwards
//! ```

use std::ops::Range;
use std::sync::Arc;

use dosql_base::{Error, Result};

use super::RowScope;
use super::binder::{Binder, Site, Source};
use super::typed::{Bound, Origin};
use super::window::WindowGroup;
use crate::catalog::schema::Table;
use crate::func::{JsonArgs, JsonResult, lookup};
use crate::parse::ast::{Id, JoinKind, List, NameId, WindowDefinition};
use crate::plan::{AggregateCall, ColumnSource, Expr, PeriodColumn, Register};
use crate::value::{Affinity, Collation, Text, Value};

/// The index into [`Binder::scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeId(pub(crate) usize);

/// Which clause is being bound: what may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// WHERE, ON, arguments of table functions: neither aggregates nor window functions.
    Rows,
    /// GROUP BY.
    GroupBy,
    /// Inside an aggregate's call.
    Aggregate,
    /// HAVING: aggregates.
    Having,
    /// The result columns and ORDER BY: both.
    Result,
    /// Inside a window function's call: aggregates.
    Window,
}

/// The names of one SELECT.
pub(crate) struct Scope<'a> {
    pub(crate) parent: Option<ScopeId>,
    pub(crate) frame: usize,
    pub(crate) items: Vec<Item>,
    pub(crate) clause: Clause,
    /// Whether aggregates may stand where [`Scope::clause`] allows them: false once it is known that the SELECT has none.
    pub(crate) may_aggregate: bool,
    /// The named result columns, once they are bound.
    pub(crate) aliases: Vec<Alias>,
    /// The result columns as they were bound, for the ORDER BY of a compound.
    pub(crate) result: Vec<Expr>,
    pub(crate) aggregates: Vec<AggregateCall>,
    pub(crate) windows: Vec<WindowGroup>,
    /// WINDOW.
    pub(crate) window_definitions: Option<(Source<'a>, List<WindowDefinition>)>,
    /// Named windows being resolved, against cycles.
    pub(crate) open_windows: Vec<Id<WindowDefinition>>,
}

/// A named result column.
#[derive(Clone)]
pub(crate) struct Alias {
    pub(crate) name: Text,
    pub(crate) bound: Bound,
    pub(crate) has_aggregate: bool,
    pub(crate) has_window: bool,
}

/// An item of a FROM, or a given row.
pub(crate) struct Item {
    pub(crate) name: Option<Text>,
    pub(crate) columns: Columns,
    /// Where its columns are.
    pub(crate) registers: Registers,
    /// Rows without a match have NULLs here.
    pub(crate) nullable: bool,
    /// There is a rowid to name.
    pub(crate) has_rowid: bool,
    /// Found only where qualified.
    pub(crate) qualified_only: bool,
    /// Columns that USING or NATURAL joins with those of items before it.
    pub(crate) using: Vec<Text>,
    /// How `using` joins.
    pub(crate) using_kind: JoinKind,
}

/// What columns an item has.
#[derive(Clone)]
pub(crate) enum Columns {
    Table(Arc<Table>),
    Listed(Arc<[ListedColumn]>),
    /// Expressions of the query itself.
    Inline(Arc<[Output]>),
}

/// A column of something that is no table.
#[derive(Clone, Debug)]
pub(crate) struct ListedColumn {
    pub(crate) name: Text,
    pub(crate) hidden: bool,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) settled: bool,
    pub(crate) collation: Option<Collation>,
    pub(crate) json: JsonResult,
    pub(crate) nullable: bool,
    pub(crate) declared_type: Option<Text>,
    pub(crate) origin: Option<(Text, Text)>,
}

/// A result column of a SELECT.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) bound: Bound,
    pub(crate) name: Text,
    /// The name was given with AS.
    pub(crate) alias: bool,
}

/// Where an item's columns are.
pub(crate) enum Registers {
    /// A register for each column that is used, made at its first use; behind the columns come the rowid and, of a table,
    /// [`PeriodColumn::ALL`].
    OnUse(Vec<Option<Register>>),
    /// A row at fixed registers.
    Row(u32),
    /// In the item's own expressions.
    Inline,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(parent: Option<ScopeId>, frame: usize, items: Vec<Item>) -> Self {
        Scope {
            parent,
            frame,
            items,
            clause: Clause::Rows,
            may_aggregate: true,
            aliases: Vec::new(),
            result: Vec::new(),
            aggregates: Vec::new(),
            windows: Vec::new(),
            window_definitions: None,
            open_windows: Vec::new(),
        }
    }
}

/// What stands before the dot of a name.
#[derive(Clone, Copy)]
pub(crate) struct Qualifier<'q> {
    pub(crate) schema: Option<&'q str>,
    pub(crate) table: &'q str,
}

impl Item {
    /// An item whose columns get registers when they are used.
    pub(crate) fn on_use(name: Option<Text>, columns: Columns, nullable: bool) -> Item {
        let period = if matches!(columns, Columns::Table(_)) { PeriodColumn::ALL.len() } else { 0 };
        let registers = Registers::OnUse(vec![None; columns.len() + 1 + period]);
        Item::of(name, columns, registers, nullable)
    }

    pub(crate) fn inline(name: Option<Text>, outputs: Vec<Output>, nullable: bool) -> Item {
        Item::of(name, Columns::Inline(outputs.into()), Registers::Inline, nullable)
    }

    fn of(name: Option<Text>, columns: Columns, registers: Registers, nullable: bool) -> Item {
        Item {
            name,
            columns,
            registers,
            nullable,
            has_rowid: false,
            qualified_only: false,
            using: Vec::new(),
            using_kind: JoinKind::Inner,
        }
    }

    /// A given row.
    pub(crate) fn row(row: &RowScope, qualified_only: bool) -> Item {
        let name = row.name.clone().unwrap_or_else(|| row.table.name.clone());
        let columns = Columns::Table(row.table.clone());
        let has_rowid = !row.table.without_rowid;
        Item { qualified_only, has_rowid, ..Item::of(Some(name), columns, Registers::Row(row.base), false) }
    }

    /// Whether a qualified name means it.
    fn is_meant(&self, by: Qualifier<'_>) -> bool {
        let in_schema = |schema: &str| match &self.columns {
            Columns::Table(table) => table.temporary == schema.eq_ignore_ascii_case("temp"),
            _ => true,
        };
        self.is_named(by.table) && by.schema.is_none_or(in_schema)
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// Whether USING joins its column of this name with an earlier one.
    pub(crate) fn is_using(&self, name: &str) -> bool {
        self.using.iter().any(|using| using.eq_ignore_ascii_case(name))
    }

    /// The registers in use: (column position, register); the rowid is one past the columns.
    pub(crate) fn used(&self) -> Vec<(usize, Register)> {
        match &self.registers {
            Registers::OnUse(registers) => {
                let used =
                    |(at, register): (usize, &Option<Register>)| register.map(|register| (at, register));
                registers.iter().enumerate().filter_map(used).collect()
            }
            _ => Vec::new(),
        }
    }

    /// As [`Item::used`], for a table.
    pub(crate) fn used_columns(&self) -> Vec<(ColumnSource, Register)> {
        let width = self.columns.len();
        let source = |at| match PeriodColumn::ALL.get(usize::wrapping_sub(at, width + 1)) {
            Some(column) => ColumnSource::Period(*column),
            None if at == width => ColumnSource::Rowid,
            None => ColumnSource::Column(at),
        };
        self.used().into_iter().map(|(at, register)| (source(at), register)).collect()
    }
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        match self {
            Columns::Table(table) => table.columns.len(),
            Columns::Listed(columns) => columns.len(),
            Columns::Inline(outputs) => outputs.len(),
        }
    }

    pub(crate) fn name(&self, at: usize) -> &Text {
        match self {
            Columns::Table(table) => &table.columns[at].name,
            Columns::Listed(columns) => &columns[at].name,
            Columns::Inline(outputs) => &outputs[at].name,
        }
    }

    /// Whether `*` leaves it out.
    pub(crate) fn is_hidden(&self, at: usize) -> bool {
        matches!(self, Columns::Listed(columns) if columns[at].hidden)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        (0..self.len()).find(|at| self.name(*at).eq_ignore_ascii_case(name))
    }
}

/// Whether a name means the rowid where no column has it.
pub(crate) fn is_rowid_name(name: &str) -> bool {
    ["rowid", "_rowid_", "oid"].iter().any(|rowid| rowid.eq_ignore_ascii_case(name))
}

fn ambiguous(name: &str) -> Error {
    Error::invalid(format!("ambiguous column name: {name}"))
}

impl<'a> Binder<'a> {
    /// The column `at` of the item, in the terms of the item's query; one past the columns is the rowid.
    pub(crate) fn column(&mut self, scope: ScopeId, item: usize, at: usize) -> Bound {
        let frame = self.scopes[scope.0].frame;
        let known = match &self.scopes[scope.0].items[item].registers {
            Registers::OnUse(registers) => registers[at],
            Registers::Row(base) => Some(Register(base + u32::try_from(at).unwrap_or(u32::MAX))),
            Registers::Inline => None,
        };
        let is_inline = matches!(&self.scopes[scope.0].items[item].registers, Registers::Inline);
        let register = known.unwrap_or_else(|| if is_inline { Register(0) } else { self.register(frame) });
        let item = &mut self.scopes[scope.0].items[item];
        if let Registers::OnUse(registers) = &mut item.registers {
            registers[at] = Some(register);
        }
        let nullable = item.nullable;
        match &item.columns {
            Columns::Inline(outputs) => {
                let Output { bound, name, .. } = &outputs[at];
                let mut bound = bound.clone();
                bound.nullable |= nullable;
                // From outside it is a column, whatever it is made of.
                (bound.collation, bound.explicit) = (Some(bound.collation()), false);
                let named = bound.column.as_ref();
                bound.column = Some(Arc::new(Origin {
                    name: name.clone(),
                    declared_type: named.and_then(|column| column.declared_type.clone()),
                    origin: named.and_then(|column| column.origin.clone()),
                }));
                bound.as_real()
            }
            Columns::Listed(columns) => {
                let Some(column) = columns.get(at) else {
                    return rowid_column(Text::default(), register, nullable);
                };
                Bound {
                    expr: Expr::Register(register),
                    affinity: column.affinity,
                    settled: column.settled,
                    collation: column.collation,
                    explicit: false,
                    json: column.json,
                    nullable: nullable || column.nullable,
                    column: Some(Arc::new(Origin {
                        name: column.name.clone(),
                        declared_type: column.declared_type.clone(),
                        origin: column.origin.clone(),
                    })),
                }
                .as_real()
            }
            // What `old`, `new` and `excluded` hold is compared as it is, as in SQLite; only the first two have collations.
            Columns::Table(table) if item.qualified_only => {
                let column = table_column(table, at, register, nullable);
                let collation = column.collation.filter(|_| !item.is_named("excluded"));
                Bound { affinity: None, settled: false, collation, ..column }
            }
            Columns::Table(table) => match PeriodColumn::ALL.get(at.wrapping_sub(table.columns.len() + 1)) {
                Some(column) => table_period(*column, register),
                None => table_column(table, at, register, nullable),
            },
        }
    }

    /// Finds a column that says from when until when a row is as it is.
    fn find_period(
        &mut self,
        scope: ScopeId,
        table: Option<Qualifier<'_>>,
        name: &str,
    ) -> Result<Option<Bound>> {
        let Some(number) =
            PeriodColumn::ALL.iter().position(|column| column.name().eq_ignore_ascii_case(name))
        else {
            return Ok(None);
        };
        let fits = |item: &Item| {
            let versioned =
                matches!(&item.columns, Columns::Table(table) if !table.made_up && !table.temporary);
            let on_use = matches!(item.registers, Registers::OnUse(_));
            versioned && on_use && table.map_or(!item.qualified_only, |by| item.is_meant(by))
        };
        let mut fitting = self.scopes[scope.0].items.iter().enumerate().filter(|(_, item)| fits(item));
        let Some((at, item)) = fitting.next() else { return Ok(None) };
        if fitting.next().is_some() {
            return Err(ambiguous(name));
        }
        let column = item.columns.len() + 1 + number;
        Ok(Some(self.column(scope, at, column)))
    }

    /// Finds an unqualified name among some items of a scope.
    pub(crate) fn find_among(
        &mut self,
        scope: ScopeId,
        range: Range<usize>,
        name: &str,
    ) -> Result<Option<Bound>> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for at in range {
            let item = &self.scopes[scope.0].items[at];
            if item.qualified_only {
                continue;
            }
            let Some(column) = item.columns.find(name) else { continue };
            if !found.is_empty() {
                if !item.is_using(name) {
                    return Err(ambiguous(name));
                }
                match item.using_kind {
                    JoinKind::Inner | JoinKind::Cross | JoinKind::Left => continue,
                    JoinKind::Right => found.clear(),
                    JoinKind::Full => {}
                }
            }
            found.push((at, column));
        }
        let mut columns: Vec<Bound> =
            found.into_iter().map(|(item, column)| self.column(scope, item, column)).collect();
        if columns.len() < 2 {
            return Ok(columns.pop());
        }
        // A full join: whichever side has the row.
        let function = lookup("coalesce", columns.len().min(127))?;
        let mut first = columns[0].clone();
        first.expr = Expr::Function {
            function,
            arguments: columns.into_iter().map(|column| column.expr).collect(),
            collation: Collation::Binary,
            json: JsonArgs::default(),
        };
        Ok(Some(first))
    }

    fn find_in_scope(
        &mut self,
        scope: ScopeId,
        table: Option<Qualifier<'_>>,
        name: &str,
    ) -> Result<Option<Bound>> {
        let Some(table) = table else {
            let all = 0..self.scopes[scope.0].items.len();
            return self.find_among(scope, all, name);
        };
        let mut found = None;
        for at in 0..self.scopes[scope.0].items.len() {
            let item = &self.scopes[scope.0].items[at];
            if !item.is_meant(table) {
                continue;
            }
            let Some(column) = item.columns.find(name) else { continue };
            if found.is_some() && !self.scopes[scope.0].items[at].is_using(name) {
                return Err(ambiguous(&format!("{}.{name}", table.table)));
            }
            found = found.or(Some((at, column)));
        }
        Ok(found.map(|(item, column)| self.column(scope, item, column)))
    }

    fn find_rowid(
        &mut self,
        scope: ScopeId,
        table: Option<Qualifier<'_>>,
        name: &str,
    ) -> Result<Option<Bound>> {
        if !is_rowid_name(name) {
            return Ok(None);
        }
        let fits = |item: &Item| item.has_rowid && table.map_or(!item.qualified_only, |by| item.is_meant(by));
        let mut fitting = self.scopes[scope.0].items.iter().enumerate().filter(|(_, item)| fits(item));
        let Some((at, item)) = fitting.next() else { return Ok(None) };
        if fitting.next().is_some() {
            return Err(ambiguous(name));
        }
        let column = match &item.columns {
            Columns::Table(table) => table.rowid_alias.unwrap_or(table.columns.len()),
            columns => columns.len(),
        };
        Ok(Some(self.column(scope, at, column)))
    }

    fn find_alias(&mut self, scope: ScopeId, name: &str) -> Result<Option<Bound>> {
        let scope = &self.scopes[scope.0];
        let Some(alias) = scope.aliases.iter().find(|alias| alias.name.eq_ignore_ascii_case(name)) else {
            return Ok(None);
        };
        if alias.has_aggregate && matches!(scope.clause, Clause::Rows | Clause::Aggregate) {
            return Err(Error::invalid(format!("misuse of aliased aggregate {name}")));
        }
        if alias.has_window && scope.clause != Clause::Result {
            return Err(Error::invalid(format!("misuse of aliased window function {name}")));
        }
        Ok(Some(alias.bound.clone()))
    }

    /// The scope, from the site outwards, in which a name means something, and what it means there.
    pub(crate) fn find(
        &mut self,
        site: &Site<'a>,
        table: Option<Qualifier<'_>>,
        name: &str,
    ) -> Result<Option<(ScopeId, Bound)>> {
        let mut at = site.scope;
        while let Some(scope) = at {
            let mut found = self.find_in_scope(scope, table, name)?;
            if found.is_none() {
                found = self.find_rowid(scope, table, name)?;
            }
            if found.is_none() {
                found = self.find_period(scope, table, name)?;
            }
            if found.is_none() && table.is_none() {
                found = self.find_alias(scope, name)?;
            }
            if let Some(bound) = found {
                return Ok(Some((scope, bound)));
            }
            at = self.scopes[scope.0].parent;
        }
        Ok(None)
    }

    /// Binds a name.
    pub(crate) fn name(
        &mut self,
        site: &Site<'a>,
        schema: Option<NameId>,
        table: Option<NameId>,
        column: NameId,
    ) -> Result<Bound> {
        let source = site.source.clone();
        let ast = source.ast();
        let name = ast.text(column);
        let (qualifier, table) = (table, table.map(|table| ast.text(table)));
        let known_schema = schema.is_none_or(|schema| is_main(ast.text(schema)));
        let by = table.map(|table| Qualifier { schema: schema.map(|schema| ast.text(schema)), table });
        let found = if known_schema { self.find(site, by, name) } else { Ok(None) };
        let quoted = ast[column].span.of(source.sql()).starts_with('"');
        // An error points at the start of the whole name.
        let span = ast[schema.or(qualifier).unwrap_or(column)].span;
        if let Some((scope, mut bound)) = found.map_err(|error| source.place(span, error))? {
            let frame = self.scopes[scope.0].frame;
            bound.expr = self.lift(bound.expr, frame, site.frame);
            return Ok(bound);
        }
        if table.is_none() && !ast[column].quoted {
            for (word, value) in [("true", 1), ("false", 0)] {
                if name.eq_ignore_ascii_case(word) {
                    return Ok(Bound::literal(Value::Integer(value)));
                }
            }
        }
        let message = match (schema, table) {
            (Some(schema), Some(table)) => format!("no such column: {}.{table}.{name}", ast.text(schema)),
            (_, Some(table)) => format!("no such column: {table}.{name}"),
            _ if quoted => {
                format!("no such column: \"{name}\" - should this be a string literal in single-quotes?")
            }
            _ => format!("no such column: {name}"),
        };
        Err(source.error(span, message))
    }
}

/// Whether a schema's name is one of those that a database has.
pub(crate) fn is_main(schema: &str) -> bool {
    schema.eq_ignore_ascii_case("main") || schema.eq_ignore_ascii_case("temp")
}

fn rowid_column(table: Text, register: Register, nullable: bool) -> Bound {
    let name = Text::new_static("rowid");
    let origin = Some((table, name.clone()));
    Bound {
        affinity: Some(Affinity::Integer),
        settled: true,
        nullable,
        column: Some(Arc::new(Origin { name, declared_type: Some(Text::new_static("INTEGER")), origin })),
        ..Bound::plain(Expr::Register(register))
    }
}

fn table_period(column: PeriodColumn, register: Register) -> Bound {
    let (affinity, collation) = super::versions::period_affinity(column);
    let declared = if column.is_text() { "TEXT" } else { "INTEGER" };
    Bound {
        affinity: Some(affinity),
        settled: true,
        collation: Some(collation),
        nullable: true,
        column: Some(Arc::new(Origin {
            name: Text::new_static(column.name()),
            declared_type: Some(Text::new_static(declared)),
            origin: None,
        })),
        ..Bound::plain(Expr::Register(register))
    }
}

fn table_column(table: &Arc<Table>, at: usize, register: Register, nullable: bool) -> Bound {
    let expr = Expr::Register(register);
    let Some(column) = table.columns.get(at) else {
        return rowid_column(table.name.clone(), register, nullable);
    };
    let is_rowid = table.rowid_alias == Some(at);
    Bound {
        affinity: Some(if is_rowid { Affinity::Integer } else { column.affinity }),
        settled: true,
        collation: Some(column.collation),
        nullable: nullable || (column.not_null.is_none() && !is_rowid),
        column: Some(Arc::new(Origin {
            name: column.name.clone(),
            declared_type: (!column.declared_type.is_empty()).then(|| column.declared_type.clone()),
            origin: Some((table.name.clone(), column.name.clone())),
        })),
        ..Bound::plain(expr)
    }
}
