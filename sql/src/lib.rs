//! The SQL front end of dosql: text to plan to rows over the small [`Storage`] trait.

pub mod storage;

pub use storage::{Direction, KeyRange, Point, Storage};
