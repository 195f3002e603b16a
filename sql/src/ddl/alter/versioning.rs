//! ALTER TABLE SET SYSTEM VERSIONING.

use dosql_base::{Error, Result};

use super::edit::Edits;
use crate::catalog::load::create_table;
use crate::catalog::store::Object;
use crate::catalog::temp;
use crate::ddl::Ddl;
use crate::parse::ast::{Span, TableBody};
use crate::parse::parse_one;
use crate::storage::Storage;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    /// Puts another clause in the place of the one that the table was made with, or behind its columns.
    pub(super) fn set_versioning(&mut self, mut object: Object, clause: Span) -> Result<()> {
        if temp::is_temporary(object.sequence) {
            return Err(Error::invalid(format!("{} is temporary: it has no versions", object.name)));
        }
        let text = clause.of(self.cx.sql);
        let with = text.as_bytes().get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"WITH"));
        let text = if with { text.to_owned() } else { format!("WITH {text}") };
        let stored = parse_one(&object.sql)?;
        let TableBody::Columns { versioning, end, without_rowid, strict, .. } = &create_table(&stored)?.body
        else {
            return Err(Error::corrupt("a stored CREATE TABLE has no columns", "catalog"));
        };
        let mut edits = Edits::default();
        match versioning {
            Some((_, old)) => edits.replace(*old, text),
            // A comma stands in front of the next option.
            None if *without_rowid || *strict => edits.insert_after(*end, format!(" {text},")),
            None => edits.insert_after(*end, format!(" {text}")),
        }
        object.sql = edits.apply(&object.sql)?;
        parse_one(&object.sql)?;
        self.replace_object(&object)
    }
}
