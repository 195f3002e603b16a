//! Views and triggers after a rename. Which of their names mean what was renamed is asked of the binder: with the new
//! schema it stumbles over the first name that is not there any more; that one is renamed, and so on until all bind.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::drop_column::replaced;
use super::edit::{Edits, names_like};
use crate::bind::{BindContext, bind_select};
use crate::catalog::bound::LiveOnly;
use crate::catalog::load::lower;
use crate::catalog::schema::Catalog;
use crate::catalog::store::{Object, ObjectKind};
use crate::ddl::Ddl;
use crate::dml::trigger::{bind_trigger, definition, trigger_table};
use crate::parse::ast::{Ast, ExprKind, Name, Statement};
use crate::parse::parse_one;
use crate::storage::Storage;

/// What was renamed.
pub(super) struct Renamed<'n> {
    pub(super) old: &'n str,
    pub(super) new: &'n Name,
    /// A column, rather than a table.
    pub(super) column: bool,
}

impl<S: Storage> Ddl<'_, '_, '_, S> {
    /// Binds a view or a trigger in a catalog.
    fn bind_dependent(&self, catalog: &Arc<Catalog>, object: &Object) -> Result<()> {
        let catalogs = LiveOnly(Arc::clone(catalog));
        match object.kind {
            ObjectKind::View => {
                let Some(view) = catalog.view(&object.name) else { return Ok(()) };
                let cx = BindContext::new(&catalogs, &view.parsed.ast, &view.sql, self.cx.env, self.cx.now);
                let Statement::CreateView(create) = &view.parsed.statement else { return Ok(()) };
                bind_select(&cx, create.select, &[]).map(|_| ())
            }
            ObjectKind::Trigger => {
                let Some(trigger) = catalog.triggers.get(&lower(&object.name)) else { return Ok(()) };
                let Some(create) = definition(trigger) else { return Ok(()) };
                let cx =
                    BindContext::new(&catalogs, &trigger.parsed.ast, &trigger.sql, self.cx.env, self.cx.now);
                let Some(table) = trigger_table(&cx, &trigger.table)? else {
                    return Err(Error::invalid(format!("no such table: main.{}", object.table)));
                };
                bind_trigger(&cx, trigger, create, &table).map(|_| ())
            }
            ObjectKind::Table | ObjectKind::Index => Ok(()),
        }
    }

    /// Fails where a view or trigger does not bind as things are.
    pub(super) fn check_dependents(&self, when: &str) -> Result<()> {
        let catalog = Arc::new(self.machine.catalog.clone());
        self.check_all_bind(&catalog, when)
    }

    /// Fails where a view or trigger does not bind in a catalog.
    pub(super) fn check_all_bind(&self, catalog: &Arc<Catalog>, when: &str) -> Result<()> {
        for object in &catalog.objects {
            self.bind_dependent(catalog, object).map_err(|error| in_object(object, when, &error))?;
        }
        Ok(())
    }

    /// Renames in all views and triggers; `objects` are those of the new schema. Returns the objects with their new texts.
    pub(super) fn follow(&self, objects: Vec<Object>, renamed: &Renamed<'_>) -> Result<Vec<Object>> {
        let mut catalog = Arc::new(Catalog::of_objects(objects, Some(self.machine.catalog))?);
        for number in 0..catalog.objects.len() {
            loop {
                let object = &catalog.objects[number];
                let Err(error) = self.bind_dependent(&catalog, object) else { break };
                let Some(sql) = rename_at(object, &error, renamed)? else {
                    return Err(in_object(object, " after rename", &error));
                };
                let new = Object { sql, ..object.clone() };
                let objects = replaced(&catalog.objects, &new);
                catalog = Arc::new(Catalog::of_objects(objects, Some(&catalog))?);
            }
        }
        Ok(catalog.objects.clone())
    }
}

fn in_object(object: &Object, when: &str, error: &Error) -> Error {
    Error::invalid(format!("error in {} {}{when}: {}", object.kind.name(), object.name, error.message()))
}

/// The text of an object with the name that an error points at renamed; `None` where that is not what was renamed.
fn rename_at(object: &Object, error: &Error, renamed: &Renamed<'_>) -> Result<Option<crate::value::Text>> {
    let Some(offset) = error.offset() else { return Ok(None) };
    let parsed = parse_one(&object.sql)?;
    let Some(name) = name_at(&parsed.ast, offset, renamed) else { return Ok(None) };
    let mut edits = Edits::default();
    edits.rename(name, renamed.new);
    edits.apply(&object.sql).map(Some)
}

fn name_at<'a>(ast: &'a Ast, offset: usize, renamed: &Renamed<'_>) -> Option<&'a Name> {
    let here = |name: &&Name| name.span.start as usize == offset;
    if let Some(name) = names_like(ast, renamed.old).find(here) {
        return Some(name);
    }
    // The error may point at any part of `schema.table.column`.
    let around = |expr: &&crate::parse::ast::Expr| {
        (expr.span.start as usize..expr.span.end as usize).contains(&offset)
    };
    ast.exprs.iter().filter(around).find_map(|expr| {
        let ExprKind::Column { table, column, .. } = &expr.kind else { return None };
        let id = if renamed.column { *column } else { (*table)? };
        let name = &ast[id];
        name.text.eq_ignore_ascii_case(renamed.old).then_some(name)
    })
}
