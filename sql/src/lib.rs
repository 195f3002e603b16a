//! The SQL front end of dosql: text to plan to rows over the small [`Storage`] trait.

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

pub use storage::{Direction, KeyRange, Point, Storage};
