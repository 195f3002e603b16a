//! `pragma_name(..)` as tables.

use std::sync::Arc;

use super::scope::ListedColumn;
use super::source::listed;
use crate::catalog::pragma::{TABLE_PRAGMAS, find};
use crate::plan::TableFunction;

/// The pragma of this lower-case name, as a table: its columns, then its hidden arguments.
pub(crate) fn table_function(name: &str) -> Option<(TableFunction, Arc<[ListedColumn]>)> {
    let number = find(name.strip_prefix("pragma_")?)?;
    let shown = TABLE_PRAGMAS.get(number)?.columns.iter().map(|name| listed(name, false));
    let columns: Vec<ListedColumn> = shown.chain(["arg", "schema"].map(|name| listed(name, true))).collect();
    Some((TableFunction::Pragma(number), columns.into()))
}
