//! The simulation that tries to break dosql.
//!
//! ```text
//! cargo run --release --manifest-path tests/sim/Cargo.toml -- COMMAND [--option value]..
//! ```
//!
//! Each command is a module of its own, prints one line of figures a scenario and a total, and ends with 0 only if nothing was violated.

mod isolation;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let result = match command.as_str() {
        "isolation" => isolation::command(lexopt::Parser::from_args(arguments)),
        _ => {
            eprintln!("usage: dosql-sim COMMAND [--option value]..\ncommands: isolation");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
