//! The catalog: what tables, indexes, views and triggers there are, now and in the past.
//!
//! ```text
//! schema.rs   what the planner and the executor read: Catalog, Table, Index, ..
//! layout.rs   the bytes of rows and index entries
//! store.rs    the bytes of the catalog's own rows
//! ```

pub mod layout;
pub mod schema;
pub mod store;
