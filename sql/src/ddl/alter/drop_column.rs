//! ALTER TABLE DROP COLUMN.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::edit::Edits;
use crate::catalog::build::build_table;
use crate::catalog::definition::read_table;
use crate::catalog::load::create_table;
use crate::catalog::schema::{Catalog, IndexKey, IndexOrigin, Table};
use crate::catalog::store::{Object, ObjectKind};
use crate::ddl::Ddl;
use crate::ddl::create_index::stored_index;
use crate::parse::ast::{NameId, Span, TableBody};
use crate::parse::parse_one;
use crate::storage::Storage;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn drop_column(
        &mut self,
        table: &Arc<Table>,
        mut object: Object,
        column: NameId,
    ) -> Result<()> {
        let name = self.name(column);
        let offset = self.offset(column);
        let refuse = |message: String| Err(Error::invalid(message).at_offset(offset));
        let Some(position) = table.columns.iter().position(|c| c.name.eq_ignore_ascii_case(&name)) else {
            return refuse(format!("no such column: \"{name}\""));
        };
        if table.columns[position].primary_key_position > 0 {
            return refuse(format!("cannot drop PRIMARY KEY column: \"{name}\""));
        }
        let own_unique = table.indexes.iter().any(|index| {
            index.origin == IndexOrigin::Unique
                && matches!(index.columns.as_slice(), [part] if matches!(part.key, IndexKey::Column(c) if c == position))
        });
        if own_unique {
            return refuse(format!("cannot drop UNIQUE column: \"{name}\""));
        }
        if table.columns.len() == 1 {
            return refuse(format!("cannot drop column \"{name}\": no other columns exist"));
        }
        self.check_dependents("")?;
        object.sql = without_column(&object.sql, position)?;
        object.places.remove(position);
        let after = |what: &str, error: Error| {
            Error::invalid(format!("error in {what} after drop column: {}", error.message()))
        };
        let what = format!("table {}", table.name);
        let parsed = parse_one(&object.sql)?;
        let definition = read_table(&parsed.ast, &object.sql, create_table(&parsed)?)
            .map_err(|error| after(&what, error))?;
        let built =
            Arc::new(build_table(&definition, &object, &parsed).map_err(|error| after(&what, error))?);
        let catalog = self.machine.catalog;
        for index in catalog.objects.iter().filter(|o| o.kind == ObjectKind::Index && !o.sql.is_empty()) {
            if index.table.eq_ignore_ascii_case(&table.name) {
                stored_index(&built, index)
                    .map_err(|error| after(&format!("index {}", index.name), error))?;
            }
        }
        let objects = replaced(&catalog.objects, &object);
        let changed = Arc::new(Catalog::of_objects(objects, Some(catalog))?);
        self.check_all_bind(&changed, " after drop column")?;
        self.replace_object(&object)
    }
}

/// The objects with one of them replaced by its new self.
pub(super) fn replaced(objects: &[Object], new: &Object) -> Vec<Object> {
    let pick = |object: &Object| if object.sequence == new.sequence { new.clone() } else { object.clone() };
    objects.iter().map(pick).collect()
}

/// A CREATE TABLE without one of its columns.
fn without_column(sql: &str, position: usize) -> Result<crate::value::Text> {
    let parsed = parse_one(sql)?;
    let TableBody::Columns { columns, .. } = &create_table(&parsed)?.body else {
        return Err(Error::corrupt("a stored CREATE TABLE has no columns", "catalog"));
    };
    let spans: Vec<Span> = parsed.ast.list(*columns).iter().map(|column| column.span).collect();
    let Some(own) = spans.get(position) else {
        return Err(Error::corrupt("a stored CREATE TABLE has too few columns", "catalog"));
    };
    // With the comma behind it, or else the one before it.
    let span = match (spans.get(position + 1), position.checked_sub(1)) {
        (Some(next), _) => Span { start: own.start, end: next.start },
        (None, Some(before)) => Span { start: spans[before].end, end: own.end },
        (None, None) => *own,
    };
    let mut edits = Edits::default();
    edits.replace(span, "");
    edits.apply(sql)
}
