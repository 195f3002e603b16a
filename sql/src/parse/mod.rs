//! Text to syntax tree.
//!
//! ```text
//! text ─▶ token.rs ─▶ parser/ ─▶ ast.rs
//!         keyword.rs  literal.rs
//! ```
//!
//! The grammar is SQLite's (with `FOR SYSTEM_TIME AS OF` and BEGIN CONCURRENT on top), so are precedences, soft
//! keywords and the words of errors. The parser is recursive descent with binding powers for expressions; nothing
//! recurses deeper than [`MAX_DEPTH`] allows, and no tree of expressions is higher than that.

pub mod ast;
mod complete;
mod keyword;
mod literal;
mod parser;
mod token;
pub(crate) mod walk;

use dosql_base::Result;

pub use complete::is_complete;
pub use keyword::is_keyword;
pub use parser::{MAX_ARGUMENTS, MAX_COLUMNS, MAX_COMPOUND_TERMS, MAX_DEPTH, MAX_LENGTH, MAX_PARAMETER};

use ast::{Ast, ExprId, Parsed};
use parser::Parser;

/// Parses the next statement of a script, starting at the byte `from`, into `ast`, whose memory is reused.
///
/// Gives the statement and the offset behind its `;`; `None` where only blanks, comments and empty statements are left.
///
/// # Errors
/// A mistake in the text, with its byte offset in `sql`.
pub fn parse_next(sql: &str, from: usize, ast: Ast) -> Result<Option<(Parsed, usize)>> {
    Parser::new(sql, from, ast)?.next_statement()
}

/// Parses a text that is one statement, with or without a `;` at its end.
///
/// # Errors
/// A mistake in the text, no statement, or more than one.
pub fn parse_one(sql: &str) -> Result<Parsed> {
    Parser::new(sql, 0, Ast::default())?.only_statement()
}

/// Parses a text that is one expression: the stored text of a DEFAULT, a CHECK, an indexed expression.
///
/// # Errors
/// A mistake in the text.
pub fn parse_expression(sql: &str) -> Result<(Ast, ExprId)> {
    Parser::new(sql, 0, Ast::default())?.only_expression()
}
