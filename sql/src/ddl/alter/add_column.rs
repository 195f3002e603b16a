//! ALTER TABLE ADD COLUMN.

use std::sync::Arc;

use dosql_base::{Code, Error, Result};

use super::edit::Edits;
use crate::catalog::build::{build_table, constant_value};
use crate::catalog::definition::read_table;
use crate::catalog::load::create_table;
use crate::catalog::schema::{Place, Table};
use crate::catalog::store::Object;
use crate::ddl::Ddl;
use crate::parse::ast::{ColumnConstraintKind, ColumnDefinition, Id, TableBody};
use crate::parse::parse_one;
use crate::storage::Storage;
use crate::value::Value;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn add_column(
        &mut self,
        table: &Arc<Table>,
        mut object: Object,
        column: Id<ColumnDefinition>,
    ) -> Result<()> {
        self.check_new_column(table, column)?;
        let ast = &self.parsed.ast;
        let text = ast[column].span.of(self.cx.sql).trim_end();
        let old = parse_one(&object.sql)?;
        let TableBody::Columns { columns, .. } = &create_table(&old)?.body else {
            return Err(Error::corrupt("a stored CREATE TABLE has no columns", "catalog"));
        };
        let Some(last) = old.ast.list(*columns).last() else {
            return Err(Error::corrupt("a stored CREATE TABLE has no columns", "catalog"));
        };
        let mut edits = Edits::default();
        edits.insert_after(last.span, format!(", {text}"));
        object.sql = edits.apply(&object.sql)?;
        let parsed = parse_one(&object.sql)?;
        let definition = read_table(&parsed.ast, &object.sql, create_table(&parsed)?).map_err(|error| {
            let text = format!("error in table {} after add column: {}", object.name, error.message());
            Error::new(error.kind(), error.code(), text)
        })?;
        let is_virtual = definition.columns.last().is_some_and(|c| matches!(c.generated, Some((_, false))));
        object.places.push(if is_virtual { Place::Virtual } else { Place::Row(object.fields) });
        object.fields += usize::from(!is_virtual);
        let mut built = build_table(&definition, &object, &parsed)?;
        built.indexes = table.indexes.clone();
        self.check_rows(&Arc::new(built), table.checks.len())?;
        self.replace_object(&object)
    }

    /// What a column that is added may not be.
    fn check_new_column(&self, table: &Arc<Table>, column: Id<ColumnDefinition>) -> Result<()> {
        let ast = &self.parsed.ast;
        let refuse = |message: &str| Err(Error::invalid(message));
        let name = self.name(ast[column].name);
        if table.columns.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            return refuse(&format!("duplicate column name: {name}"));
        }
        let (mut not_null, mut default, mut generated, mut references) = (false, None, false, false);
        for constraint in ast.list(ast[column].constraints) {
            match &constraint.kind {
                ColumnConstraintKind::PrimaryKey { .. } => return refuse("Cannot add a PRIMARY KEY column"),
                ColumnConstraintKind::Unique { .. } => return refuse("Cannot add a UNIQUE column"),
                ColumnConstraintKind::NotNull { .. } => not_null = true,
                ColumnConstraintKind::Default(expr) => default = Some(*expr),
                ColumnConstraintKind::References(_) => references = true,
                ColumnConstraintKind::Generated { stored, .. } => {
                    if *stored && self.has_rows(table)? {
                        return refuse("cannot add a STORED column");
                    }
                    generated = true;
                }
                ColumnConstraintKind::Null
                | ColumnConstraintKind::MergeAdd
                | ColumnConstraintKind::Check(_)
                | ColumnConstraintKind::Collate(_) => {}
            }
        }
        if !self.has_rows(table)? {
            return Ok(());
        }
        let value = match default {
            Some(expr) => match &ast[expr].kind {
                crate::parse::ast::ExprKind::Column { column, .. } => {
                    Some(Value::Text(ast[*column].text.clone()))
                }
                _ => constant_value(ast, expr),
            },
            None => Some(Value::Null),
        };
        let Some(value) = value else { return refuse("Cannot add a column with non-constant default") };
        if references && self.machine.settings.foreign_keys && !value.is_null() {
            return refuse("Cannot add a REFERENCES column with non-NULL default value");
        }
        if not_null && value.is_null() && !generated {
            return refuse("Cannot add a NOT NULL column with default value NULL");
        }
        Ok(())
    }

    /// Fails where a row breaks a constraint that came with the new column.
    fn check_rows(&mut self, table: &Arc<Table>, checks_before: usize) -> Result<()> {
        let checks = &table.checks;
        let column = table.columns.last();
        let generated_not_null = column.is_some_and(|c| c.generated.is_some() && c.not_null.is_some());
        if checks.len() == checks_before && !generated_not_null {
            return Ok(());
        }
        for row_id in self.machine.row_ids(table.space)? {
            let Some(row) = self.machine.fetch(table, &row_id)? else { continue };
            if generated_not_null && row[table.columns.len() - 1].is_null() {
                return Err(Error::constraint(Code::ConstraintNotNull, "NOT NULL constraint failed"));
            }
            for check in checks {
                if self.machine.truth(&check.expr, &row, &[])? == Some(false) {
                    return Err(Error::constraint(Code::ConstraintCheck, "CHECK constraint failed"));
                }
            }
        }
        Ok(())
    }
}
