//! The catalog: what tables, indexes, views and triggers there are, now and in the past.

pub mod schema;
