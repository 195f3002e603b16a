//! A table or an index out of its definition: expressions bound, columns placed, the order of generated columns found.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::bound::{Purpose, bind_alone, registers_read};
use super::definition::{ColumnSpec, KeyPart, KeySpec, TableDefinition, collation};
use super::layout::{self, exact_in_key};
use super::load::lower;
use super::schema::{
    Check, Column, ColumnDefault, Generated, Index, IndexColumn, IndexKey, IndexOrigin, NotNull, Place, Table,
};
use super::store::Object;
use super::temp;
use crate::parse::ast::{Ast, CreateIndex, Expr, ExprId, ExprKind, NameId, Parsed, UnaryOp};
use crate::plan;
use crate::value::{Affinity, Collation, Value, arith, cast};

impl KeyPart {
    fn column(self) -> IndexColumn {
        IndexColumn {
            key: IndexKey::Column(self.column),
            collation: self.collation,
            descending: self.descending,
        }
    }
}

/// Where the columns of a new table go, and how many fields its rows have.
pub(crate) fn place_columns(definition: &TableDefinition) -> (Vec<Place>, usize) {
    let key: &[KeyPart] = match definition.keys.iter().find(|key| key.primary) {
        Some(key) if definition.without_rowid => &key.parts,
        _ => &[],
    };
    let mut fields = 0;
    let place = |(position, column): (usize, &ColumnSpec)| {
        if definition.rowid_alias == Some(position) {
            return Place::Rowid;
        }
        if matches!(column.generated, Some((_, false))) {
            return Place::Virtual;
        }
        let exact = |part: &KeyPart| part.column == position && exact_in_key(column.affinity, part.collation);
        if let Some(part) = key.iter().position(exact) {
            return Place::Key(part);
        }
        fields += 1;
        Place::Row(fields - 1)
    };
    let places = definition.columns.iter().enumerate().map(place).collect();
    (places, fields)
}

/// Builds a table without its indexes.
pub(crate) fn build_table(definition: &TableDefinition, object: &Object, parsed: &Parsed) -> Result<Table> {
    if object.places.len() != definition.columns.len() {
        return Err(Error::corrupt(
            "a table has not as many places as columns",
            format!("table {}", object.name),
        ));
    }
    let key = definition.keys.iter().find(|key| key.primary && definition.without_rowid);
    let mut table = Table {
        space: object.space,
        name: object.name.clone(),
        columns: Vec::with_capacity(definition.columns.len()),
        fields: object.fields,
        fields_from: None,
        generated: Vec::new(),
        temporary: temp::is_temporary(object.sequence),
        rowid_alias: definition.rowid_alias,
        autoincrement: definition.autoincrement,
        without_rowid: definition.without_rowid,
        strict: definition.strict,
        versioning: definition.versioning,
        primary_key: key.map(|key| key.parts.iter().map(|part| part.column()).collect()).unwrap_or_default(),
        primary_key_conflict: definition.primary_key_conflict,
        primary_key_rank: primary_key_rank(definition),
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: definition.foreign_keys.clone(),
        sql: object.sql.clone(),
        made_up: false,
    };
    for (column, place) in definition.columns.iter().zip(&object.places) {
        table.columns.push(build_column(column, *place, &parsed.ast, &object.sql)?);
    }
    table.fields_from = layout::fields_from(&table.columns);
    let base = Arc::new(table.clone());
    for (position, column) in definition.columns.iter().enumerate() {
        if let Some((expr, stored)) = column.generated {
            let expr = bind_alone(&parsed.ast, &object.sql, expr, Some(&base), Purpose::Generated)?;
            table.columns[position].generated = Some(Generated { expr: Arc::new(expr), stored });
        }
    }
    for (name, expr) in &definition.checks {
        let expr = bind_alone(&parsed.ast, &object.sql, *expr, Some(&base), Purpose::Check)?;
        table.checks.push(Check { name: name.clone(), expr: Arc::new(expr) });
    }
    table.generated = generated_order(&table)?;
    Ok(table)
}

fn build_column(spec: &ColumnSpec, place: Place, ast: &Ast, sql: &str) -> Result<Column> {
    let mut absent = Value::Null;
    let default = match &spec.default {
        None => None,
        Some(default) => {
            let expr = match &default.word {
                Some(word) => plan::Expr::Literal(word.clone()),
                None => bind_alone(ast, sql, default.expr, None, Purpose::Default)?,
            };
            let constant = default.word.clone().or_else(|| constant_value(ast, default.expr));
            absent = constant.map(|value| spec.affinity.apply(value)).unwrap_or_default();
            Some(ColumnDefault { sql: default.sql.clone(), expr: Arc::new(expr) })
        }
    };
    Ok(Column {
        name: spec.name.clone(),
        declared_type: spec.declared_type.clone(),
        affinity: spec.affinity,
        collation: spec.collation,
        not_null: spec.not_null.map(|conflict| NotNull { conflict }),
        default,
        primary_key_position: spec.primary_key_position,
        merge_add: spec.merge_add,
        generated: None,
        place,
        absent,
    })
}

/// The value of a literal, perhaps signed, cast or TRUE; `None` where it takes an evaluation.
pub(crate) fn constant_value(ast: &Ast, expr: ExprId) -> Option<Value> {
    let mut wrappers = Vec::new();
    let mut at = expr;
    let mut value = loop {
        match &ast[at].kind {
            ExprKind::Literal(value) => break value.clone(),
            ExprKind::Column { schema: None, table: None, column } => {
                break match ast.text(*column) {
                    word if word.eq_ignore_ascii_case("true") => Value::Integer(1),
                    word if word.eq_ignore_ascii_case("false") => Value::Integer(0),
                    _ => return None,
                };
            }
            ExprKind::Unary { op: UnaryOp::Negate | UnaryOp::Plus, operand }
            | ExprKind::Cast { operand, .. } => {
                wrappers.push(at);
                at = *operand;
            }
            _ => return None,
        }
    };
    while let Some(wrapper) = wrappers.pop() {
        value = match &ast[wrapper].kind {
            ExprKind::Unary { op: UnaryOp::Negate, .. } => arith::neg(value.as_ref()),
            ExprKind::Cast { type_name, .. } => {
                cast(value.as_ref(), Affinity::of_declared_type(ast.text(*type_name)))
            }
            _ => value,
        };
    }
    Some(value)
}

/// Generated columns in an order in which each follows those that it reads.
fn generated_order(table: &Table) -> Result<Vec<usize>> {
    let mut waiting: Vec<(usize, Vec<usize>)> = Vec::new();
    for (position, column) in table.columns.iter().enumerate() {
        if let Some(generated) = &column.generated {
            let mut reads = registers_read(&generated.expr);
            reads.retain(|column| table.columns.get(*column).is_some_and(|c| c.generated.is_some()));
            waiting.push((position, reads));
        }
    }
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(position, reads)| {
            let ready = reads.iter().all(|read| order.contains(read));
            if ready {
                order.push(*position);
            }
            !ready
        });
        if waiting.len() == before {
            let name = &table.columns[waiting[0].0].name;
            return Err(Error::invalid(format!("generated column loop on \"{name}\"")));
        }
    }
    Ok(order)
}

/// How many keys are made before the one that a WITHOUT ROWID table is kept under. An INTEGER PRIMARY KEY comes last, wherever
/// it is written, since it becomes a key only when the table turns out to have no rowid.
fn primary_key_rank(definition: &TableDefinition) -> usize {
    let Some(rank) = definition.keys.iter().position(|key| !has_index(definition, key)) else { return 0 };
    match definition.keys[rank].parts.as_slice() {
        [part] if definition.columns[part.column].declared_type.eq_ignore_ascii_case("INTEGER") => {
            definition.keys.len() - 1
        }
        _ => rank,
    }
}

/// The name of the index that a table's n-th key (from 0) is checked with.
pub(crate) fn key_index_name(table: &str, number: usize) -> String {
    format!("sqlite_autoindex_{table}_{}", number + 1)
}

/// Whether a key of this definition has an index: all but the primary key that a WITHOUT ROWID table is kept under.
pub(crate) fn has_index(definition: &TableDefinition, key: &KeySpec) -> bool {
    !(definition.without_rowid && key.primary)
}

/// Builds the index of a constraint.
pub(crate) fn key_index(definition: &TableDefinition, object: &Object) -> Result<Index> {
    let number = object.name.rsplit('_').next().and_then(|digits| digits.parse::<usize>().ok());
    let key = number.and_then(|number| definition.keys.get(number.checked_sub(1)?));
    let key = key.ok_or_else(|| {
        Error::corrupt("an index belongs to no constraint of its table", format!("index {}", object.name))
    })?;
    Ok(Index {
        space: object.space,
        name: object.name.clone(),
        table: lower(&object.table),
        columns: key.parts.iter().map(|part| part.column()).collect(),
        unique: true,
        filter: None,
        origin: if key.primary { IndexOrigin::PrimaryKey } else { IndexOrigin::Unique },
        conflict: key.conflict,
        sql: "".into(),
    })
}

/// Builds the index that a CREATE INDEX says.
pub(crate) fn build_index(
    table: &Arc<Table>,
    object: &Object,
    parsed: &Parsed,
    create: &CreateIndex,
) -> Result<Index> {
    let (ast, sql) = (&parsed.ast, object.sql.as_str());
    let mut columns = Vec::with_capacity(create.columns.len());
    for term in ast.list(create.columns) {
        let (mut expr, mut named) = (term.expr, None);
        if let ExprKind::Collate { operand, collation: name } = ast[expr].kind {
            (expr, named) = (operand, Some(collation(ast, name)?));
        }
        let (key, natural) = match plain_column(ast, &ast[expr], table) {
            Some(column) => (IndexKey::Column(column), table.columns[column].collation),
            None => {
                if let ExprKind::Column { table: None, column, .. } = &ast[expr].kind
                    && ["rowid", "_rowid_", "oid"]
                        .iter()
                        .any(|name| ast.text(*column).eq_ignore_ascii_case(name))
                {
                    return Err(Error::invalid(format!("no such column: {}", ast.text(*column)))
                        .at_offset(ast[expr].span.start as usize));
                }
                if let ExprKind::Literal(Value::Text(name)) = &ast[expr].kind {
                    return Err(Error::invalid(format!("no such column: {name}"))
                        .at_offset(ast[expr].span.start as usize));
                }
                let bound = bind_alone(ast, sql, expr, Some(table), Purpose::IndexExpression)?;
                (IndexKey::Expr(Arc::new(bound)), Collation::Binary)
            }
        };
        columns.push(IndexColumn { key, collation: named.unwrap_or(natural), descending: term.descending });
    }
    let filter = match create.filter {
        None => None,
        Some(expr) => Some(Arc::new(bind_alone(ast, sql, expr, Some(table), Purpose::IndexFilter)?)),
    };
    Ok(Index {
        space: object.space,
        name: object.name.clone(),
        table: lower(&object.table),
        columns,
        unique: create.unique,
        filter,
        origin: IndexOrigin::Created,
        conflict: None,
        sql: object.sql.clone(),
    })
}

fn plain_column(ast: &Ast, expr: &Expr, table: &Table) -> Option<usize> {
    let find = |id: NameId| {
        let name = ast.text(id);
        table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    };
    match &expr.kind {
        ExprKind::Column { schema: None, table: None, column } => find(*column),
        ExprKind::Literal(Value::Text(name)) => {
            table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
        }
        _ => None,
    }
}
