//! SQL values and what the dialect says about them, apart from any statement.
//!
//! ```text
//! value.rs     Value (owned) and ValueRef (borrowed): NULL, INTEGER, REAL, TEXT, BLOB
//! number.rs    text to number and number to text
//! affinity.rs  what a column's declared type does to a value that is stored or compared
//! cast.rs      CAST and the coercions to integer, real, text and truth
//! compare.rs   collations and the total order of values
//! decimal.rs   the digits of a float, rounded at a place
//! instant.rs   moments as ISO-8601 text
//! arith.rs     + - * / % & | << >> ~ ||
//! ```

mod affinity;
pub mod arith;
mod cast;
mod compare;
pub(crate) mod decimal;
mod instant;
pub mod number;
#[allow(clippy::module_inception)]
mod value;

pub use affinity::Affinity;
pub(crate) use cast::write_hex;
pub use cast::{cast, quote, text_of, to_blob, to_boolean, to_integer, to_real, to_text, write_text};
pub use compare::{Collation, compare, compare_integer_real, equal};
pub use instant::{describe_instant, format_instant, parse_instant};
pub use number::write_real;
pub use value::{Blob, Text, Value, ValueRef};
