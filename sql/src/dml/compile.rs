//! INSERT, UPDATE and DELETE from tree to plan.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::plan::{
    Change, DeletePlan, Input, InsertPlan, Joined, Returning, SetTarget, UpdatePlan, UpsertPlan, UpsertSet,
    UpsertTarget,
};
use crate::bind::{
    BindContext, Extra, RowScope, Target, bind_expression, bind_members, bind_returning, bind_select,
    bind_select_with, bind_target, bind_view_columns,
};
use crate::catalog::definition::collation;
use crate::catalog::load::lower;
use crate::catalog::made_up;
use crate::catalog::schema::{Column, Index, IndexColumn, IndexKey, Place, Table};
use crate::parse::ast::{
    Assignment, Delete, ExprId, ExprKind, FromSource, Insert, InsertSource, List, NameId, OrderTerm,
    QualifiedName, ResultColumn, Statement, Update, Upsert,
};
use crate::plan::Expr;
use crate::value::{Affinity, Collation, Text, Value};

/// A table or view that a statement changes.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) table: Arc<Table>,
    pub(crate) view: bool,
}

/// Compiles a statement that changes rows, or a SELECT; the `outer` rows are those of the trigger around it.
pub(crate) fn compile(cx: &BindContext<'_>, statement: &Statement, outer: &[RowScope]) -> Result<Change> {
    match statement {
        Statement::Insert(insert) => Ok(Change::Insert(Arc::new(compile_insert(cx, insert, outer)?))),
        Statement::Update(update) => Ok(Change::Update(Arc::new(compile_update(cx, update, outer)?))),
        Statement::Delete(delete) => Ok(Change::Delete(Arc::new(compile_delete(cx, delete, outer)?))),
        Statement::Select(select) => Ok(Change::Select(Arc::new(bind_select(cx, *select, outer)?))),
        _ => Err(Error::invalid("only SELECT, INSERT, UPDATE and DELETE stand in a trigger")),
    }
}

/// Finds what a statement wants to change. Views count where they have a trigger instead.
pub(crate) fn find_changed(
    cx: &BindContext<'_>,
    name: &QualifiedName,
    event: &str,
    outer: &[RowScope],
) -> Result<Changed> {
    let (catalog, text) = (cx.catalog.live(), &cx.ast[name.name].text);
    let offset = cx.ast[name.name].span.start as usize;
    let schema = name.schema.map(|schema| cx.ast.text(schema));
    if let Some(schema) = schema {
        check_schema(schema)?;
    }
    let schema = schema.or(cx.schema);
    if let Some(table) = catalog.table_in(schema, text) {
        if table.made_up {
            let text = format!("table {} may not be modified", made_up::old_name(&table.name));
            return Err(Error::invalid(text).at_offset(offset));
        }
        return Ok(Changed { table: Arc::clone(table), view: false });
    }
    let Some(view) = catalog.view(text).filter(|_| schema.is_none() || catalog.table(text).is_none()) else {
        // Inside a trigger a name means a table of the trigger's own database, and errors say so.
        let prefix = if outer.is_empty() { "" } else { "main." };
        let full = full_name(cx, name);
        return Err(Error::invalid(format!("no such table: {prefix}{full}")).at_offset(offset));
    };
    let triggers = catalog.triggers_of(text, false);
    if !triggers.iter().any(|trigger| super::trigger::replaces(trigger, event)) {
        let text = format!("cannot modify {} because it is a view", view.name);
        return Err(Error::invalid(text).at_offset(offset));
    }
    Ok(Changed { table: view_table(cx, &view.name)?, view: true })
}

pub(crate) fn check_schema(schema: &str) -> Result<()> {
    if ["main", "temp"].iter().any(|known| schema.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Error::invalid(format!("unknown database {schema}")))
}

fn full_name(cx: &BindContext<'_>, name: &QualifiedName) -> String {
    match name.schema {
        Some(schema) => format!("{}.{}", cx.ast.text(schema), cx.ast.text(name.name)),
        None => cx.ast.text(name.name).to_owned(),
    }
}

/// A table that has the columns of a view.
pub(crate) fn view_table(cx: &BindContext<'_>, name: &str) -> Result<Arc<Table>> {
    let columns = bind_view_columns(cx, name)?;
    let column = |(position, column): (usize, &crate::plan::OutputColumn)| Column {
        name: column.name.clone(),
        declared_type: column.declared_type.clone().unwrap_or_default(),
        affinity: Affinity::Blob,
        collation: Collation::Binary,
        not_null: None,
        default: None,
        primary_key_position: 0,
        merge_add: false,
        generated: None,
        place: Place::Row(position),
        absent: Value::Null,
    };
    Ok(Arc::new(Table {
        space: 0,
        name: Text::new(name),
        columns: columns.iter().enumerate().map(column).collect(),
        fields: columns.len(),
        fields_from: None,
        generated: Vec::new(),
        temporary: false,
        rowid_alias: None,
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
        made_up: true,
    }))
}

fn column_position(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

fn is_rowid_name(table: &Table, name: &str) -> bool {
    !table.without_rowid && ["rowid", "_rowid_", "oid"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What a name in a column list or an assignment means.
fn set_target(table: &Table, name: &str) -> Option<SetTarget> {
    match column_position(table, name) {
        Some(column) => Some(SetTarget::Column(column)),
        None => is_rowid_name(table, name).then_some(SetTarget::Rowid),
    }
}

fn returning(
    cx: &BindContext<'_>,
    columns: List<ResultColumn>,
    table: &Arc<Table>,
    alias: Option<NameId>,
) -> Result<Option<Arc<Returning>>> {
    if columns.is_empty() {
        return Ok(None);
    }
    let name = alias.map(|alias| cx.ast[alias].text.clone());
    let rows = [RowScope { name, table: Arc::clone(table), base: 0 }];
    let (exprs, columns) = bind_returning(cx, columns, &rows, &[])?;
    Ok(Some(Arc::new(Returning { exprs, columns })))
}

fn compile_insert(cx: &BindContext<'_>, insert: &Insert, outer: &[RowScope]) -> Result<InsertPlan> {
    let Changed { table, view } = find_changed(cx, &insert.table, "INSERT", outer)?;
    let source = match &insert.source {
        InsertSource::Select(select) => Some(Arc::new(bind_select_with(cx, insert.with, *select, outer)?)),
        InsertSource::DefaultValues => None,
    };
    let supplied = source.as_ref().map(|source| source.outputs.len());
    let (inputs, rowid) = match cx.ast.list(insert.columns) {
        [] => all_columns(&table, supplied)?,
        names => named_columns(cx, &table, names, supplied)?,
    };
    let mut upserts = Vec::with_capacity(insert.upserts.len());
    for upsert in cx.ast.list(insert.upserts) {
        if view {
            return Err(Error::invalid("cannot UPSERT a view").at_offset(upsert.span.start as usize));
        }
        upserts.push(compile_upsert(cx, upsert, &table, insert, outer)?);
    }
    let returning = returning(cx, insert.returning, &table, insert.alias)?;
    Ok(InsertPlan { table, view, or: insert.or, source, inputs, rowid, upserts, returning })
}

/// INSERT without a column list: values for all columns that are not generated.
fn all_columns(table: &Table, supplied: Option<usize>) -> Result<(Vec<Input>, Option<usize>)> {
    let wanted = table.columns.iter().filter(|column| column.generated.is_none()).count();
    if let Some(supplied) = supplied
        && supplied != wanted
    {
        return Err(Error::invalid(format!(
            "table {} has {wanted} columns but {supplied} values were supplied",
            table.name
        )));
    }
    let (mut inputs, mut next, mut rowid) = (Vec::with_capacity(table.columns.len()), 0, None);
    for (position, column) in table.columns.iter().enumerate() {
        inputs.push(match (&column.generated, supplied) {
            (Some(_), _) => Input::Generated,
            (None, None) => Input::Default,
            (None, Some(_)) => {
                if table.rowid_alias == Some(position) {
                    rowid = Some(next);
                }
                next += 1;
                Input::Source(next - 1)
            }
        });
    }
    Ok((inputs, rowid))
}

fn named_columns(
    cx: &BindContext<'_>,
    table: &Table,
    names: &[NameId],
    supplied: Option<usize>,
) -> Result<(Vec<Input>, Option<usize>)> {
    let supplied = supplied.unwrap_or(names.len());
    if supplied != names.len() {
        return Err(Error::invalid(format!("{supplied} values for {} columns", names.len())));
    }
    let mut inputs: Vec<Input> = table
        .columns
        .iter()
        .map(|column| if column.generated.is_some() { Input::Generated } else { Input::Default })
        .collect();
    let mut rowid = None;
    for (n, name) in names.iter().enumerate() {
        let name = &cx.ast[*name];
        match set_target(table, &name.text) {
            Some(SetTarget::Column(column)) => {
                if table.columns[column].generated.is_some() {
                    let text =
                        format!("cannot INSERT into generated column \"{}\"", table.columns[column].name);
                    return Err(Error::invalid(text).at_offset(name.span.start as usize));
                }
                if table.rowid_alias == Some(column) {
                    rowid = rowid.or(Some(n));
                }
                // Where a column is named twice, the first counts.
                if inputs[column] == Input::Default {
                    inputs[column] = Input::Source(n);
                }
            }
            Some(SetTarget::Rowid) => rowid = rowid.or(Some(n)),
            None => {
                let text = format!("table {} has no column named {}", table.name, name.text);
                return Err(Error::invalid(text).at_offset(name.span.start as usize));
            }
        }
    }
    Ok((inputs, rowid))
}

fn compile_update(cx: &BindContext<'_>, update: &Update, outer: &[RowScope]) -> Result<UpdatePlan> {
    let Changed { table, view } = find_changed(cx, &update.table, "UPDATE", outer)?;
    if view {
        check_replaced(cx, update, &table)?;
    }
    let (mut extra, mut sets) = (Vec::new(), Vec::new());
    for assignment in cx.ast.list(update.assignments) {
        let targets = assigned(cx, &table, assignment)?;
        extra.push(Extra { expr: assignment.value, members: targets.len() });
        sets.extend(targets.into_iter().map(Some));
    }
    // Where a column is set twice, the last counts.
    for n in 0..sets.len() {
        if sets[n + 1..].contains(&sets[n]) {
            sets[n] = None;
        }
    }
    check_from(cx, update)?;
    // A LIMIT of an UPDATE .. FROM counts rows of the table, which only show once they are gathered.
    let (mut limit, mut offset, mut joined) = (update.limit, update.offset, None);
    if !update.from.is_empty() {
        let bind = |expr: Option<ExprId>| expr.map(|expr| bind_expression(cx, expr, &[], outer)).transpose();
        joined = Some(Joined { limit: bind(limit.take())?, offset: bind(offset.take())? });
    }
    let target = Target {
        table: &table,
        view,
        alias: update.alias,
        with: update.with,
        indexed: update.indexed,
        from: update.from,
        filter: update.filter,
        order_by: update.order_by,
        limit,
        offset,
        extra: &extra,
    };
    let source = Arc::new(bind_target(cx, &target, outer)?);
    let returning = returning(cx, update.returning, &table, update.alias)?;
    Ok(UpdatePlan { table, view, or: update.or, source, sets, joined, returning })
}

/// Fails where no INSTEAD OF trigger of a view waits for an update of these columns.
fn check_replaced(cx: &BindContext<'_>, update: &Update, view: &Table) -> Result<()> {
    let names = cx.ast.list(update.assignments).iter().flat_map(|set| cx.ast.list(set.columns));
    let names: Vec<&str> = names.map(|name| cx.ast.text(*name)).collect();
    let triggers = cx.catalog.live().triggers_of(&view.name, false);
    if triggers.iter().any(|trigger| super::trigger::replaces_update(trigger, &names)) {
        return Ok(());
    }
    Err(Error::invalid(format!("cannot modify {} because it is a view", view.name)))
}

/// Fails where the FROM of an UPDATE names the target again.
fn check_from(cx: &BindContext<'_>, update: &Update) -> Result<()> {
    let own = cx.ast.text(update.alias.unwrap_or(update.table.name));
    for item in cx.ast.list(update.from) {
        let named = match (&item.alias, &item.source) {
            (Some(alias), _) => Some(*alias),
            (None, FromSource::Table { name, .. }) => Some(name.name),
            (None, _) => None,
        };
        if named.is_some_and(|name| cx.ast.text(name).eq_ignore_ascii_case(own)) {
            let text = format!("target object/alias may not appear in FROM clause: {own}");
            return Err(Error::invalid(text).at_offset(item.span.start as usize));
        }
    }
    Ok(())
}

/// The columns that an assignment sets.
fn assigned(cx: &BindContext<'_>, table: &Table, assignment: &Assignment) -> Result<Vec<SetTarget>> {
    let mut targets = Vec::with_capacity(assignment.columns.len());
    for name in cx.ast.list(assignment.columns) {
        let name = &cx.ast[*name];
        let offset = name.span.start as usize;
        let target = set_target(table, &name.text)
            .ok_or_else(|| Error::invalid(format!("no such column: {}", name.text)).at_offset(offset))?;
        if let SetTarget::Column(column) = target
            && table.columns[column].generated.is_some()
        {
            let text = format!("cannot UPDATE generated column \"{}\"", table.columns[column].name);
            return Err(Error::invalid(text).at_offset(offset));
        }
        // The alias of the rowid and the rowid are one.
        targets.push(match target {
            SetTarget::Rowid => table.rowid_alias.map_or(SetTarget::Rowid, SetTarget::Column),
            target => target,
        });
    }
    Ok(targets)
}

fn compile_delete(cx: &BindContext<'_>, delete: &Delete, outer: &[RowScope]) -> Result<DeletePlan> {
    let Changed { table, view } = find_changed(cx, &delete.table, "DELETE", outer)?;
    let target = Target {
        table: &table,
        view,
        alias: delete.alias,
        with: delete.with,
        indexed: delete.indexed,
        from: List::EMPTY,
        filter: delete.filter,
        order_by: delete.order_by,
        limit: delete.limit,
        offset: delete.offset,
        extra: &[],
    };
    let source = Arc::new(bind_target(cx, &target, outer)?);
    let returning = returning(cx, delete.returning, &table, delete.alias)?;
    Ok(DeletePlan { table, view, source, returning })
}

fn compile_upsert(
    cx: &BindContext<'_>,
    upsert: &Upsert,
    table: &Arc<Table>,
    insert: &Insert,
    outer: &[RowScope],
) -> Result<UpsertPlan> {
    let target = upsert_target(cx, upsert, table)?;
    let Some(update) = &upsert.update else { return Ok(UpsertPlan { target, update: None }) };
    let excluded = u32::try_from(table.columns.len() + 1).unwrap_or(u32::MAX);
    let name = insert.alias.map(|alias| cx.ast[alias].text.clone());
    let rows = [
        RowScope { name, table: Arc::clone(table), base: 0 },
        RowScope { name: Some(Text::new("excluded")), table: Arc::clone(table), base: excluded },
    ];
    let mut sets: Vec<(SetTarget, Expr)> = Vec::new();
    for assignment in cx.ast.list(update.assignments) {
        let targets = assigned(cx, table, assignment)?;
        let values = bind_members(cx, insert.with, assignment.value, targets.len(), &rows, outer)?;
        for (target, value) in targets.into_iter().zip(values) {
            sets.retain(|(known, _)| *known != target);
            sets.push((target, value));
        }
    }
    let filter = match update.filter {
        Some(filter) => bind_members(cx, insert.with, filter, 1, &rows, outer)?.pop(),
        None => None,
    };
    Ok(UpsertPlan { target, update: Some(UpsertSet { sets, filter }) })
}

fn upsert_target(cx: &BindContext<'_>, upsert: &Upsert, table: &Arc<Table>) -> Result<UpsertTarget> {
    let terms = cx.ast.list(upsert.target);
    if terms.is_empty() {
        return Ok(UpsertTarget::Any);
    }
    let mut wanted = Vec::with_capacity(terms.len());
    for term in terms {
        wanted.push(target_term(cx, term, table)?);
    }
    let covers = |parts: &[IndexColumn]| {
        parts.len() == wanted.len()
            && parts.iter().all(|part| wanted.iter().any(|wanted| wanted.is(part)))
            && wanted.iter().all(|wanted| parts.iter().any(|part| wanted.is(part)))
    };
    if table.without_rowid && covers(&table.primary_key) {
        return Ok(UpsertTarget::Primary);
    }
    if let [only] = wanted.as_slice()
        && !table.without_rowid
        && (only.rowid || (only.column.is_some() && only.column == table.rowid_alias))
    {
        return Ok(UpsertTarget::Primary);
    }
    let filter = match upsert.target_filter {
        Some(filter) => Some(bind_expression(cx, filter, &row_of(table), &[])?),
        None => None,
    };
    let implied = |index: &Index| match (&index.filter, &filter) {
        (None, _) => true,
        (Some(own), Some(given)) => format!("{own:?}") == format!("{given:?}"),
        (Some(_), None) => false,
    };
    // Where several match (they differ in collations only), the one made last, as in SQLite.
    let mut latest_first = table.indexes.iter().rev();
    let found = latest_first.find(|index| index.unique && covers(&index.columns) && implied(index));
    found.map(|index| UpsertTarget::Index(lower(&index.name))).ok_or_else(|| {
        Error::invalid("ON CONFLICT clause does not match any PRIMARY KEY or UNIQUE constraint")
            .at_offset(upsert.span.start as usize)
    })
}

fn row_of(table: &Arc<Table>) -> [RowScope; 1] {
    [RowScope { name: None, table: Arc::clone(table), base: 0 }]
}

/// A term of a conflict target.
struct TargetTerm {
    column: Option<usize>,
    rowid: bool,
    expr: Option<String>,
    collation: Option<Collation>,
}

impl TargetTerm {
    fn is(&self, part: &IndexColumn) -> bool {
        let key = match &part.key {
            IndexKey::Column(column) => self.column == Some(*column),
            IndexKey::Rowid => self.rowid,
            IndexKey::Expr(expr) => self.expr.as_ref().is_some_and(|own| *own == format!("{expr:?}")),
        };
        key && self.collation.is_none_or(|collation| collation == part.collation)
    }
}

fn target_term(cx: &BindContext<'_>, term: &OrderTerm, table: &Arc<Table>) -> Result<TargetTerm> {
    let (mut expr, mut named) = (term.expr, None);
    if let ExprKind::Collate { operand, collation: name } = cx.ast[expr].kind {
        (expr, named) = (operand, Some(collation(cx.ast, name)?));
    }
    let mut target = TargetTerm { column: None, rowid: false, expr: None, collation: named };
    let own = |name: NameId| cx.ast.text(name).eq_ignore_ascii_case(&table.name);
    if let ExprKind::Column { table: qualifier, column, .. } = &cx.ast[expr].kind
        && qualifier.is_none_or(own)
    {
        match set_target(table, cx.ast.text(*column)) {
            Some(SetTarget::Column(column)) => target.column = Some(column),
            Some(SetTarget::Rowid) => target.rowid = true,
            None => {
                let name = &cx.ast[*column];
                return Err(Error::invalid(format!("no such column: {}", name.text))
                    .at_offset(name.span.start as usize));
            }
        }
        return Ok(target);
    }
    target.expr = Some(format!("{:?}", bind_expression(cx, expr, &row_of(table), &[])?));
    Ok(target)
}
