//! The SQL front end of dosql: text to plan to rows over the small [`Storage`] trait.
//!
//! ```text
//! text ──parse──▶ tree ──bind──▶ plan ──exec──▶ rows        queries
//!                   │              └────dml───▶ rows, writes, triggers, foreign keys
//!                   └──ddl──▶ catalog                       schema changes
//! session   one connection's way through all of these
//! catalog   what tables there are, and where their rows lie     codec   the bytes of keys and rows
//! value     values, their order, their conversions              func    functions and aggregates
//! storage   what is asked of whoever keeps the bytes            temporary   a connection's own tables
//! ```

pub mod bind;
pub mod catalog;
pub mod codec;
pub mod ddl;
pub mod dml;
pub mod exec;
pub mod func;
pub mod parse;
pub mod plan;
pub mod session;
pub mod storage;
pub mod temporary;
#[doc(hidden)]
pub mod testkit;
pub mod value;

pub use storage::{
    CatalogStamp, Direction, KeyRange, Point, ReadPoint, StateTable, Storage, Version, Versions, Visitor,
};
