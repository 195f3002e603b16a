//! PRAGMAs about tables and their columns.

use std::sync::Arc;

use dosql_base::Result;

use crate::catalog::bound::view_columns;
use crate::catalog::schema::{Catalog, Column, Table};
use crate::parse::ast::ForeignKeyAction;
use crate::value::Value;

fn flag(set: bool) -> Value {
    Value::Integer(i64::from(set))
}

fn number(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn table_info(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for mut row in table_xinfo(catalog, name)? {
        let hidden = row.pop().unwrap_or_default();
        if hidden == Value::Integer(0) {
            row[0] = number(rows.len());
            rows.push(row);
        }
    }
    Ok(rows)
}

pub(super) fn table_xinfo(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let Some(name) = name else { return Ok(Vec::new()) };
    if let Some(table) = catalog.table(name) {
        return Ok(table.columns.iter().enumerate().map(|(cid, column)| column_row(cid, column)).collect());
    }
    let Some(view) = catalog.view(name) else { return Ok(Vec::new()) };
    let columns = view_columns(&Arc::new(catalog.clone()), &view.name)?;
    let row = |(cid, column): (usize, crate::plan::OutputColumn)| {
        let declared = column.declared_type.unwrap_or_default();
        vec![
            number(cid),
            Value::Text(column.name),
            Value::Text(declared),
            flag(false),
            Value::Null,
            Value::Integer(0),
            Value::Integer(0),
        ]
    };
    Ok(columns.into_iter().enumerate().map(row).collect())
}

fn column_row(cid: usize, column: &Column) -> Vec<Value> {
    let hidden = match &column.generated {
        None => 0,
        Some(generated) if generated.stored => 3,
        Some(_) => 2,
    };
    vec![
        number(cid),
        Value::Text(column.name.clone()),
        Value::Text(column.declared_type.clone()),
        flag(column.not_null.is_some()),
        column.default.as_ref().map_or(Value::Null, |default| Value::Text(default.sql.clone())),
        number(column.primary_key_position),
        Value::Integer(hidden),
    ]
}

pub(super) fn table_list(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let wanted = |own: &str| name.is_none_or(|name| own.eq_ignore_ascii_case(name));
    let schema = |temporary: bool| Value::text(if temporary { "temp" } else { "main" });
    let mut rows = Vec::new();
    for object in catalog.objects.iter().rev() {
        let temporary = crate::catalog::temp::is_temporary(object.sequence);
        if !wanted(&object.name) {
            continue;
        }
        if let Some(table) =
            catalog.table(&object.name).filter(|t| t.space == object.space && object.space != 0)
        {
            rows.push(table_row(table, schema(temporary)));
        } else if let Some(view) = catalog.view(&object.name).filter(|view| view.sql == object.sql) {
            let columns =
                view_columns(&Arc::new(catalog.clone()), &view.name).map_or(0, |columns| columns.len());
            rows.push(vec![
                schema(temporary),
                Value::Text(view.name.clone()),
                Value::text("view"),
                number(columns),
                flag(false),
                flag(false),
            ]);
        }
    }
    for name in ["sqlite_schema", "sqlite_temp_schema"] {
        if let Some(table) = catalog.table(name).filter(|_| wanted(name)) {
            rows.push(table_row(table, schema(table.temporary)));
        }
    }
    Ok(rows)
}

fn table_row(table: &Table, schema: Value) -> Vec<Value> {
    vec![
        schema,
        Value::Text(table.name.clone()),
        Value::text("table"),
        number(table.columns.len()),
        flag(table.without_rowid),
        flag(table.strict),
    ]
}

pub(super) fn foreign_key_list(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let Some(table) = name.and_then(|name| catalog.table(name)) else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for (id, key) in table.foreign_keys.iter().rev().enumerate() {
        for (seq, column) in key.columns.iter().enumerate() {
            let to = key.parent_columns.get(seq).map_or(Value::Null, |name| Value::Text(name.clone()));
            rows.push(vec![
                number(id),
                number(seq),
                Value::Text(key.parent.clone()),
                table.columns.get(*column).map_or(Value::Null, |column| Value::Text(column.name.clone())),
                to,
                Value::text(action_name(key.on_update)),
                Value::text(action_name(key.on_delete)),
                Value::text("NONE"),
            ]);
        }
    }
    Ok(rows)
}

fn action_name(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "NO ACTION",
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
        ForeignKeyAction::Cascade => "CASCADE",
    }
}
