//! The syntax tree: nodes in pools, addressed by small ids, each with the bytes of the text that it came from.
//!
//! ```text
//! Statement ──ids──▶ Ast { exprs, selects, names, … }     one Vec a kind of node; a List is a run of a pool
//! ```
//!
//! Nothing is boxed, so dropping a tree needs no recursion and a parser that is reused allocates nothing. The tree says
//! what was written and no more: names are not resolved, types not known.

mod branch;
mod expression;
mod pool;
mod select;
mod statement;
mod time;

pub use branch::*;
pub use expression::*;
pub use pool::{Ast, ExprId, Id, List, NameId, Pool, SelectId, Span};
pub use select::*;
pub use statement::*;
pub use time::*;

use crate::value::Text;

/// A name as it was written, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Name {
    pub text: Text,
    /// Written in double quotes, square brackets or backticks (or, where SQLite allows it, as a string).
    pub quoted: bool,
    pub span: Span,
}

/// `[schema.]name`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct QualifiedName {
    pub schema: Option<NameId>,
    pub name: NameId,
}
