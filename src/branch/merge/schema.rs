//! What a merge makes of the schema: objects that one side made, changed or dropped are as on that side; columns that either added to a
//! table are there. What both changed in different ways is a conflict, which no option settles.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result};
use dosql_sql::Point;
use dosql_sql::catalog::layout::space_range;
use dosql_sql::catalog::schema::{Catalog, Table};
use dosql_sql::catalog::store::{Object, ObjectKind};
use dosql_sql::catalog::temp;
use dosql_sql::parse::ast::{Ast, Statement, TableBody};

use super::apply::quoted;
use super::{Merging, stored};
use crate::transaction::Transaction;

/// An object of the schema: what it is, and its name in small letters. Those that others need come first.
type Name = (u8, String);

fn rank(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Table => 0,
        ObjectKind::Index => 1,
        ObjectKind::View => 2,
        ObjectKind::Trigger => 3,
    }
}

fn objects(catalog: &Catalog) -> BTreeMap<Name, &Object> {
    let own = catalog.objects.iter().filter(|object| {
        let internal = object.name.starts_with("sqlite_") || object.name.eq_ignore_ascii_case(stored::TABLE);
        !temp::is_temporary(object.sequence) && !object.sql.is_empty() && !internal
    });
    own.map(|object| ((rank(object.kind), object.name.to_ascii_lowercase()), object)).collect()
}

impl Merging {
    /// Brings the schema of this branch to what it is to be; returns how many objects changed.
    pub(super) fn merge_schema(&self) -> Result<u64> {
        let load = |side: &Transaction| Catalog::load(side, Point::Live, None);
        let (base, theirs) = (load(&self.base.read)?, load(&self.theirs)?);
        let ours = self.connection.with_transaction(|ours| load(ours))?;
        let (before, here, there) = (objects(&base), objects(&ours), objects(&theirs));
        let text =
            |objects: &BTreeMap<Name, &Object>, name: &Name| objects.get(name).map(|it| it.sql.clone());
        let mut names: Vec<&Name> = there.keys().chain(before.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let (mut drops, mut makes, mut changes) = (Vec::new(), Vec::new(), 0);
        for name in names {
            let (b, o, t) = (text(&before, name), text(&here, name), text(&there, name));
            if t == b || t == o {
                continue;
            }
            changes += 1;
            match (&b, &o, &t) {
                (_, None, Some(sql)) if b.is_none() => makes.push(sql.to_string()),
                (Some(_), Some(_), None) if o == b => {
                    if let Some(table) = ours.tables.get(name.1.as_str()).filter(|_| name.0 == 0) {
                        self.check_unchanged(table)?;
                    }
                    drops.push(drop_of(here[name]));
                }
                (_, Some(_), Some(_)) if name.0 == 0 => {
                    let find = |catalog: &Catalog| catalog.tables.get(name.1.as_str()).cloned();
                    if let (Some(o), Some(t)) = (find(&ours), find(&theirs)) {
                        makes.extend(self.new_columns(find(&base).as_ref(), &o, &t)?);
                    }
                }
                (Some(_), Some(_), Some(sql)) if o == b => {
                    drops.push(drop_of(here[name]));
                    makes.push(sql.to_string());
                }
                _ => return Err(schema_conflict(&name.1, "both branches changed it, each in its own way")),
            }
        }
        // Triggers and views go before what they need.
        for sql in drops.iter().rev().chain(&makes) {
            self.connection.execute(sql, ()).map_err(|error| {
                let what = format!("{sql} fails on this branch: {error}");
                schema_conflict(sql.split('(').next().unwrap_or(sql), &what)
            })?;
        }
        Ok(changes)
    }

    /// A table that the other branch dropped must hold what it held when the two parted.
    fn check_unchanged(&self, table: &Table) -> Result<()> {
        let range = space_range(table.space);
        let rows = |side: &Transaction| {
            let (mut rows, mut scan) =
                (Vec::new(), side.raw_scan(range.clone(), dosql_sql::Direction::Forward));
            loop {
                let done = side.raw_visit(&mut scan, usize::MAX, &mut |key, value| {
                    rows.push((key.to_vec(), value.to_vec()));
                    Ok(std::ops::ControlFlow::Continue(()))
                })?;
                if done {
                    return Ok::<_, Error>(rows);
                }
            }
        };
        let ours = self.connection.with_transaction(|ours| rows(ours))?;
        if ours == rows(&self.base.read)? {
            return Ok(());
        }
        Err(schema_conflict(&table.name, "it was dropped there, and its rows were changed here"))
    }

    /// The statements that add the columns to our table that theirs has got since. Anything else that was changed in it is a conflict.
    fn new_columns(&self, base: Option<&Arc<Table>>, ours: &Table, theirs: &Table) -> Result<Vec<String>> {
        let known = |table: &Table, at: usize, name: &str, kind: &str| {
            let column = table.columns.get(at);
            column.is_some_and(|column| {
                column.name.eq_ignore_ascii_case(name) && column.declared_type.eq_ignore_ascii_case(kind)
            })
        };
        let columns = base.map_or(&[][..], |base| base.columns.as_slice());
        for (at, column) in columns.iter().enumerate() {
            let (name, kind) = (column.name.as_str(), column.declared_type.as_str());
            if !known(ours, at, name, kind) || !known(theirs, at, name, kind) {
                return Err(schema_conflict(&theirs.name, "a column of it was changed, and not only added"));
            }
        }
        let definitions = definitions(theirs)?;
        let (mut statements, ours_now) = (Vec::new(), self::definitions(ours)?);
        if base.is_none_or(|base| base.columns.len() == theirs.columns.len()) && definitions != ours_now {
            return Err(schema_conflict(&theirs.name, "both branches defined it, each in its own way"));
        }
        for definition in definitions.iter().skip(columns.len()) {
            let same = ours_now.iter().find(|known| known.0.eq_ignore_ascii_case(&definition.0));
            match same {
                Some(known) if known.1 == definition.1 => {}
                Some(_) => {
                    let what =
                        format!("both branches added the column {}, each in its own way", definition.0);
                    return Err(schema_conflict(&theirs.name, &what));
                }
                None => {
                    statements.push(format!(
                        "ALTER TABLE {} ADD COLUMN {}",
                        quoted(&ours.name),
                        definition.1
                    ));
                }
            }
        }
        Ok(statements)
    }
}

/// The columns of a table: names and how each is defined.
fn definitions(table: &Table) -> Result<Vec<(String, String)>> {
    let parsed = dosql_sql::parse::parse_next(&table.sql, 0, Ast::default())?;
    let Some((parsed, _)) = parsed else { return Ok(Vec::new()) };
    let Statement::CreateTable(create) = &parsed.statement else { return Ok(Vec::new()) };
    let TableBody::Columns { columns, .. } = &create.body else { return Ok(Vec::new()) };
    let define = |column: &dosql_sql::parse::ast::ColumnDefinition| {
        (parsed.ast.text(column.name).to_owned(), column.span.of(&table.sql).trim().to_owned())
    };
    Ok(parsed.ast.list(*columns).iter().map(define).collect())
}

fn drop_of(object: &Object) -> String {
    format!("DROP {} {}", object.kind.name(), quoted(&object.name))
}

fn schema_conflict(name: &str, what: &str) -> Error {
    let message = format!("the schemas can't be merged: {name}: {what}; make them the same first");
    Error::new(ErrorKind::Conflict, Code::Schema, message)
}
