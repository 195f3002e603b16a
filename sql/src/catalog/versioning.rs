//! What the catalog says of the superseded versions of tables, for whoever keeps them.

use dosql_base::Result;

use super::load::create_table;
use super::store::{Object, ObjectKind};
use crate::parse::ast::{TableBody, Versioning};
use crate::parse::parse_one;

/// What the stored CREATE TABLE of an object says; [`Versioning::Database`] for what is no table.
///
/// # Errors
/// `Corrupt` where its text is no CREATE TABLE.
pub fn versioning_of(object: &Object) -> Result<Versioning> {
    if object.kind != ObjectKind::Table || !mentions_versioning(&object.sql) {
        return Ok(Versioning::Database);
    }
    let parsed = parse_one(&object.sql)?;
    match &create_table(&parsed)?.body {
        TableBody::Columns { versioning: Some((versioning, _)), .. } => Ok(*versioning),
        _ => Ok(Versioning::Database),
    }
}

/// Whether it is worth parsing: nearly no table says anything about it.
fn mentions_versioning(sql: &str) -> bool {
    const WORD: &[u8] = b"VERSIONING";
    sql.as_bytes().windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD))
}
