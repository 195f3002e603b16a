//! `pragma_name(..)` as tables.

use std::sync::Arc;

use super::scope::ListedColumn;
use crate::plan::TableFunction;

/// The pragma of this lower-case name, as a table.
pub(crate) fn table_function(_name: &str) -> Option<(TableFunction, Arc<[ListedColumn]>)> {
    None
}
