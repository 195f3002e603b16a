//! The catalog: what tables, indexes, views and triggers there are, now and in the past.
//!
//! ```text
//! schema.rs      what the planner and the executor read: Catalog, Table, Index, ..
//! layout.rs      the bytes of rows and index entries
//! store.rs       the bytes of the catalog's own rows
//! definition.rs  what a CREATE TABLE says        build.rs   tables and indexes out of definitions
//! load.rs        stored rows to Catalog          bound.rs   expressions that belong to the schema
//! made_up.rs     sqlite_schema                   temp.rs    objects of one connection
//! predicate.rs   conditions on single rows       pragma/    PRAGMAs that show the schema
//! versioning.rs  what becomes of superseded versions
//! cells.rs       a row, whoever owns its values
//! ```

pub(crate) mod bound;
pub(crate) mod build;
pub mod cells;
pub(crate) mod definition;
pub mod layout;
pub(crate) mod load;
pub(crate) mod made_up;
pub mod pragma;
pub mod predicate;
pub mod schema;
pub mod store;
pub mod temp;
pub mod versioning;
