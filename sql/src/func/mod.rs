//! SQL's built-in functions: what they are called, how many arguments they take, what kind they are, and how to
//! run them.
//!
//! ```text
//! context.rs    what a function may know besides its arguments
//! registry.rs   Function and lookup by name and number of arguments
//! aggregate.rs  Accumulator: count, sum, avg, min, max, group_concat ..
//! pattern.rs    LIKE and GLOB
//! text.rs       length, substr, replace, trim, instr, hex ..
//! math.rs       round, sqrt, pow, log, sin ..
//! printf.rs     format
//! datetime/     date, time, strftime and their modifiers
//! json/         json_extract, json_set, json_each, JSONB ..
//! misc.rs       abs, coalesce, iif, random, typeof, changes ..
//! ```
//!
//! The binder finds a [`Function`] with [`lookup`]; an evaluator calls its [`ScalarFn`] with a [`Context`], or makes
//! an [`Accumulator`] per group. Every function is written once and serves all evaluators.

mod aggregate;
mod context;
mod datetime;
mod json;
mod math;
mod misc;
mod pattern;
mod printf;
mod registry;
mod text;

pub use aggregate::{Accumulator, AggKind};
pub use context::{Context, JsonArgs};
pub use json::{JsonRow, JsonRows, json_each};
pub use pattern::{glob, like, like_case_sensitive};
pub use registry::{Function, JsonResult, Kind, ScalarFn, Volatility, WindowKind, all, lookup};
