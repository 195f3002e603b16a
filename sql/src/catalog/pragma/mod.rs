//! PRAGMAs that show the schema: rows made of the catalog alone, as statements and as table functions `pragma_name(arg)`.
//!
//! ```text
//! tables.rs   table_info, table_xinfo, table_list, foreign_key_list
//! indexes.rs  index_list, index_info, index_xinfo
//! lists.rs    database_list, collation_list, function_list, pragma_list, compile_options
//! ```

mod indexes;
mod lists;
mod tables;

use dosql_base::Result;

use super::schema::Catalog;
use crate::value::{Value, text_of};

/// Makes the rows about an object of this name, or about all.
type MakeRows = fn(&Catalog, Option<&str>) -> Result<Vec<Vec<Value>>>;

/// A PRAGMA that shows the schema.
#[derive(Clone, Copy, Debug)]
pub struct TablePragma {
    /// Its name; the table function is `pragma_` and this.
    pub name: &'static str,
    /// The columns of its rows. The table function has two hidden ones behind them: `arg` and `schema`.
    pub columns: &'static [&'static str],
    rows: MakeRows,
}

/// All of them; a [`crate::plan::TableFunction::Pragma`] is an index into this.
pub static TABLE_PRAGMAS: &[TablePragma] = &[
    TablePragma {
        name: "table_info",
        columns: &["cid", "name", "type", "notnull", "dflt_value", "pk"],
        rows: tables::table_info,
    },
    TablePragma {
        name: "table_xinfo",
        columns: &["cid", "name", "type", "notnull", "dflt_value", "pk", "hidden"],
        rows: tables::table_xinfo,
    },
    TablePragma {
        name: "table_list",
        columns: &["schema", "name", "type", "ncol", "wr", "strict"],
        rows: tables::table_list,
    },
    TablePragma {
        name: "foreign_key_list",
        columns: &["id", "seq", "table", "from", "to", "on_update", "on_delete", "match"],
        rows: tables::foreign_key_list,
    },
    TablePragma {
        name: "index_list",
        columns: &["seq", "name", "unique", "origin", "partial"],
        rows: indexes::index_list,
    },
    TablePragma { name: "index_info", columns: &["seqno", "cid", "name"], rows: indexes::index_info },
    TablePragma {
        name: "index_xinfo",
        columns: &["seqno", "cid", "name", "desc", "coll", "key"],
        rows: indexes::index_xinfo,
    },
    TablePragma { name: "database_list", columns: &["seq", "name", "file"], rows: lists::database_list },
    TablePragma { name: "collation_list", columns: &["seq", "name"], rows: lists::collation_list },
    TablePragma {
        name: "function_list",
        columns: &["name", "builtin", "type", "enc", "narg", "flags"],
        rows: lists::function_list,
    },
    TablePragma { name: "pragma_list", columns: &["name"], rows: lists::pragma_list },
    TablePragma { name: "compile_options", columns: &["compile_options"], rows: lists::compile_options },
];

/// The names of the PRAGMAs that read and set something, in order.
pub(crate) const SETTINGS: &[&str] = &[
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "case_sensitive_like",
    "cell_size_check",
    "checkpoint_fullfsync",
    "count_changes",
    "defer_foreign_keys",
    "empty_result_callbacks",
    "encoding",
    "foreign_key_check",
    "foreign_keys",
    "freelist_count",
    "full_column_names",
    "fullfsync",
    "hard_heap_limit",
    "ignore_check_constraints",
    "incremental_vacuum",
    "integrity_check",
    "journal_mode",
    "journal_size_limit",
    "legacy_alter_table",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "optimize",
    "page_size",
    "query_only",
    "quick_check",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "schema_version",
    "secure_delete",
    "short_column_names",
    "shrink_memory",
    "soft_heap_limit",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "user_version",
    "wal_autocheckpoint",
    "wal_checkpoint",
    "writable_schema",
];

/// The index into [`TABLE_PRAGMAS`] of a name.
#[must_use]
pub fn find(name: &str) -> Option<usize> {
    TABLE_PRAGMAS.iter().position(|pragma| pragma.name.eq_ignore_ascii_case(name))
}

/// The rows of the PRAGMA at this index of [`TABLE_PRAGMAS`], for the table or index that `argument` names.
pub fn rows(pragma: usize, argument: Option<&Value>, catalog: &Catalog) -> Result<Vec<Vec<Value>>> {
    let Some(pragma) = TABLE_PRAGMAS.get(pragma) else { return Ok(Vec::new()) };
    let argument = argument.filter(|value| !value.is_null()).map(|value| text_of(value.as_ref()));
    (pragma.rows)(catalog, argument.as_deref())
}
