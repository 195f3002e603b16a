//! ALTER TABLE RENAME TO and RENAME COLUMN.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::edit::{Edits, names_like};
use super::follow::Renamed;
use crate::catalog::build::build_table;
use crate::catalog::definition::read_table;
use crate::catalog::load::create_table;
use crate::catalog::schema::{Catalog, Table};
use crate::catalog::store::{Object, ObjectKind};
use crate::catalog::temp;
use crate::ddl::Ddl;
use crate::parse::ast::{
    Ast, ColumnConstraintKind, ExprKind, ForeignKeyClause, Name, NameId, Statement, TableBody,
    TableConstraintKind, TriggerEvent,
};
use crate::parse::parse_one;
use crate::storage::Storage;
use crate::value::{Text, Value};

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn rename_table(&mut self, table: &Arc<Table>, object: Object, new: NameId) -> Result<()> {
        let catalog = self.machine.catalog;
        let name = Name { quoted: true, ..self.parsed.ast[new].clone() };
        let temporary = temp::is_temporary(object.sequence);
        let taken = |other: &Object| {
            matches!(other.kind, ObjectKind::Table | ObjectKind::View | ObjectKind::Index)
                && temp::is_temporary(other.sequence) == temporary
                && other.name.eq_ignore_ascii_case(&name.text)
        };
        if catalog.objects.iter().any(taken) {
            let message = format!("there is already another table or index with this name: {}", name.text);
            return Err(Error::invalid(message).at_offset(self.offset(new)));
        }
        self.check_reserved(new)?;
        self.check_dependents("")?;
        let old = object.name.clone();
        let mut objects = catalog.objects.clone();
        for other in &mut objects {
            let own = other.sequence == object.sequence;
            if !own && temp::is_temporary(other.sequence) != temporary && other.kind == ObjectKind::Index {
                continue;
            }
            let edited = rename_table_in(other, own, &old, &name)?;
            if let Some(sql) = edited {
                other.sql = sql;
            }
            if other.table.eq_ignore_ascii_case(&old)
                && (other.kind == ObjectKind::Trigger || temp::is_temporary(other.sequence) == temporary)
            {
                if other.kind == ObjectKind::Index && other.sql.is_empty() {
                    let number = other.name.rsplit('_').next().unwrap_or_default();
                    other.name = Text::from(format!("sqlite_autoindex_{}_{number}", name.text));
                }
                other.table = name.text.clone();
            }
            if own {
                other.name = name.text.clone();
            }
        }
        let objects = self.follow(objects, &Renamed { old: &old, new: &name, column: false })?;
        self.store_changed(objects)?;
        if table.autoincrement {
            self.rename_sequence(table, &name.text)?;
        }
        Ok(())
    }

    /// Stores the objects that are not as they were.
    fn store_changed(&mut self, objects: Vec<Object>) -> Result<()> {
        let catalog = self.machine.catalog;
        for (old, new) in catalog.objects.iter().zip(&objects) {
            if old != new {
                self.replace_object(new)?;
            }
        }
        Ok(())
    }

    /// Gives an AUTOINCREMENT table's row of `sqlite_sequence` the new name.
    fn rename_sequence(&mut self, table: &Table, new: &Text) -> Result<()> {
        let Some(sequence) = self.machine.catalog.sequence_table(table.temporary).cloned() else {
            return Ok(());
        };
        for row_id in self.machine.row_ids(sequence.space)? {
            let Some(mut row) = self.machine.fetch(&sequence, &row_id)? else { continue };
            if matches!(&row[0], Value::Text(name) if *name == table.name) {
                row[0] = Value::Text(new.clone());
                self.machine.put_stored_row(&sequence, &row, &row_id)?;
            }
        }
        Ok(())
    }

    pub(super) fn rename_column(
        &mut self,
        table: &Arc<Table>,
        object: Object,
        from: NameId,
        to: NameId,
    ) -> Result<()> {
        let old = self.name(from);
        let new = self.parsed.ast[to].clone();
        if !table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&old)) {
            return Err(Error::invalid(format!("no such column: \"{old}\"")).at_offset(self.offset(from)));
        }
        let catalog = self.machine.catalog;
        self.check_dependents("")?;
        let mut objects = catalog.objects.clone();
        let temporary = temp::is_temporary(object.sequence);
        for other in &mut objects {
            let own = other.sequence == object.sequence;
            if other.kind == ObjectKind::Index && temp::is_temporary(other.sequence) != temporary {
                continue;
            }
            if let Some(sql) = rename_column_in(other, own, &object.name, &old, &new)? {
                other.sql = sql;
            }
        }
        for changed in objects.iter().filter(|other| other.sequence == object.sequence) {
            let parsed = parse_one(&changed.sql)?;
            let definition = read_table(&parsed.ast, &changed.sql, create_table(&parsed)?)
                .and_then(|definition| build_table(&definition, changed, &parsed).map(|_| definition));
            definition.map_err(|error| {
                Error::invalid(format!("error in table {} after rename: {}", changed.name, error.message()))
            })?;
        }
        Catalog::of_objects(objects.clone(), Some(catalog))?;
        let objects = self.follow(objects, &Renamed { old: &old, new: &new, column: true })?;
        self.store_changed(objects)
    }
}

/// All REFERENCES clauses of a tree.
fn foreign_keys(ast: &Ast) -> impl Iterator<Item = &ForeignKeyClause> {
    let columns = ast.column_constraints.iter().filter_map(|constraint| match &constraint.kind {
        ColumnConstraintKind::References(clause) => Some(clause),
        _ => None,
    });
    columns.chain(ast.table_constraints.iter().filter_map(|constraint| match &constraint.kind {
        TableConstraintKind::ForeignKey { clause, .. } => Some(clause),
        _ => None,
    }))
}

/// The text of an object after its table, or one that it refers to by its own definition, got another name. What views and
/// trigger bodies read is found later.
fn rename_table_in(object: &Object, own: bool, old: &str, new: &Name) -> Result<Option<Text>> {
    if object.sql.is_empty() {
        return Ok(None);
    }
    let parsed = parse_one(&object.sql)?;
    let ast = &parsed.ast;
    let mut edits = Edits::default();
    let like = |id: NameId| ast.text(id).eq_ignore_ascii_case(old);
    match &parsed.statement {
        Statement::CreateTable(create) => {
            if own {
                edits.rename(&ast[create.name.name], new);
                for expr in &ast.exprs {
                    if let ExprKind::Column { table: Some(table), .. } = &expr.kind
                        && like(*table)
                    {
                        edits.rename(&ast[*table], new);
                    }
                }
            }
            for clause in foreign_keys(ast).filter(|clause| like(clause.table)) {
                edits.rename(&ast[clause.table], new);
            }
        }
        Statement::CreateIndex(create) if like(create.table) => {
            edits.rename(&ast[create.table], new);
            for expr in &ast.exprs {
                if let ExprKind::Column { table: Some(table), .. } = &expr.kind
                    && like(*table)
                {
                    edits.rename(&ast[*table], new);
                }
            }
        }
        Statement::CreateTrigger(create) if like(create.table.name) => {
            edits.rename(&ast[create.table.name], new);
        }
        _ => return Ok(None),
    }
    edits.apply(&object.sql).map(Some)
}

/// The text of an object after a column of `table` got another name, as far as its definition alone says it.
fn rename_column_in(object: &Object, own: bool, table: &str, old: &str, new: &Name) -> Result<Option<Text>> {
    if object.sql.is_empty() {
        return Ok(None);
    }
    let parsed = parse_one(&object.sql)?;
    let ast = &parsed.ast;
    let mut edits = Edits::default();
    let like = |id: &&NameId| ast.text(**id).eq_ignore_ascii_case(old);
    let on_table = object.table.eq_ignore_ascii_case(table);
    match &parsed.statement {
        Statement::CreateTable(create) => {
            if own {
                rename_own_column(ast, &create.body, old, new, &mut edits);
            }
            for clause in
                foreign_keys(ast).filter(|clause| ast.text(clause.table).eq_ignore_ascii_case(table))
            {
                for name in ast.list(clause.columns).iter().filter(like) {
                    edits.rename(&ast[*name], new);
                }
            }
        }
        Statement::CreateIndex(_) if on_table => rename_expressions(ast, old, new, &mut edits),
        Statement::CreateTrigger(create) if on_table => {
            if let TriggerEvent::Update(columns) = &create.event {
                for name in ast.list(*columns).iter().filter(like) {
                    edits.rename(&ast[*name], new);
                }
            }
            for expr in &ast.exprs {
                if let ExprKind::Column { table: Some(row), column, .. } = &expr.kind
                    && ["new", "old"].iter().any(|name| ast.text(*row).eq_ignore_ascii_case(name))
                    && like(&column)
                {
                    edits.rename(&ast[*column], new);
                }
            }
        }
        _ => return Ok(None),
    }
    edits.apply(&object.sql).map(Some)
}

/// Renames a column wherever an expression reads it.
fn rename_expressions(ast: &Ast, old: &str, new: &Name, edits: &mut Edits) {
    for expr in &ast.exprs {
        match &expr.kind {
            ExprKind::Column { column, .. } if ast.text(*column).eq_ignore_ascii_case(old) => {
                edits.rename(&ast[*column], new);
            }
            _ => {}
        }
    }
}

fn rename_own_column(ast: &Ast, body: &TableBody, old: &str, new: &Name, edits: &mut Edits) {
    let TableBody::Columns { columns, constraints, .. } = body else { return };
    // A name that is a DEFAULT is text, not a column.
    let defaults: Vec<_> = ast
        .column_constraints
        .iter()
        .filter_map(|constraint| match constraint.kind {
            ColumnConstraintKind::Default(expr) => Some(ast[expr].span),
            _ => None,
        })
        .collect();
    let mut all = Edits::default();
    rename_expressions(ast, old, new, &mut all);
    all.remove(|span| defaults.contains(&span));
    edits.append(all);
    for column in ast.list(*columns) {
        if ast.text(column.name).eq_ignore_ascii_case(old) {
            edits.rename(&ast[column.name], new);
        }
    }
    for constraint in ast.list(*constraints) {
        if let TableConstraintKind::ForeignKey { columns, .. } = &constraint.kind {
            for name in ast.list(*columns) {
                if ast.text(*name).eq_ignore_ascii_case(old) {
                    edits.rename(&ast[*name], new);
                }
            }
        }
    }
    debug_assert!(names_like(ast, old).next().is_some());
}
