//! Connections: SQL on top of transactions, in the shape that people know from rusqlite.
//!
//! ```text
//! Connection ──prepare──▶ Statement ──query──▶ Rows ──next──▶ Row ──get──▶ T: FromSql
//!      └── Core: settings, catalog, the open transaction, cached statements (shared by all of these)
//! ```

mod branch;
mod connection;
mod convert;
mod core;
mod erase;
mod params;
mod rows;
mod statement;
mod statement_cache;

pub use connection::{Connection, InterruptHandle, SqlTransaction};
pub use convert::{FromSql, ToSql};
pub use params::{NamedParams, ParameterValues, Params};
pub use rows::{Row, RowIndex, Rows};
pub use statement::{OptionalExtension, Statement};
