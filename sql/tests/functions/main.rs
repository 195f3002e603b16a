//! The built-in functions, through the public interface.

#![allow(clippy::unwrap_used)]

mod datetime;
mod expr;
mod format;
mod json;
mod random;
mod text;
