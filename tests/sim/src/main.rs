//! The simulation that tries to break dosql.
//!
//! ```text
//! cargo run --release --manifest-path tests/sim/Cargo.toml -- COMMAND [--option value]..
//! ```
//!
//! Each command is a module of its own, prints one line of figures a scenario and a total, and ends with 0 only if nothing was violated.

mod corruption;
#[allow(dead_code, reason = "shared with the tests of the engine")]
#[path = "../../common/crash.rs"]
mod crash;
#[path = "../../common/golden.rs"]
mod golden;
mod isolation;
mod protocols;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let parser = lexopt::Parser::from_args(arguments);
    let result = match command.as_str() {
        "corruption" => corruption::command(parser),
        "isolation" => isolation::command(parser),
        "protocols" => protocols::command(parser),
        _ => {
            eprintln!(
                "usage: dosql-sim COMMAND [--option value]..\ncommands: corruption, isolation, protocols"
            );
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
