//! How rows and keys become bytes.
//!
//! ```text
//! key.rs      keys whose bytes order as SQL orders their values
//! row.rs      rows: one byte names the layout, then the columns
//! layouts.rs  reading many rows of one table
//! shape.rs    the layouts that rows of one table have had
//! ```

pub mod key;
mod layouts;
mod row;
mod shape;

pub use key::{decode_key, decode_rowid, encode_key, encode_rowid, skip_key};
pub use layouts::{LaidOutRow, RowLayouts};
pub use row::{MAX_COLUMNS, MAX_ROW_BYTES, RowReader, encode_row, encode_shaped_row, patch_row};
pub use shape::ShapeTable;
