//! The `dosql` command: a shell, a script runner, a checker, and a pipe for other languages.
//!
//! Everything but the command line itself works over readers and writers that it is given, so that tests and fuzz targets drive
//! it within their own process; nothing here ends the process.
//!
//! ```text
//! args.rs     what was asked for
//! command.rs  carries it out
//! shell.rs    statements and dot commands, typed or from a script
//! script.rs   scripts as text, and places in them
//! prompt.rs   line editing and history
//! output.rs   results as table, csv, json, markdown, ..
//! import.rs   CSV files into tables
//! pipe.rs     one JSON object a line, in and out
//! report.rs   `verify` and `stats`
//! feed.rs     `changes`
//! ```

mod args;
mod command;
mod feed;
pub mod import;
pub mod output;
pub mod pipe;
mod prompt;
mod report;
pub mod script;
pub mod shell;
mod stores;

pub use command::run;
