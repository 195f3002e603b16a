//! The simulation that tries to break dosql.
//!
//! ```text
//! cargo run --release --manifest-path tests/sim/Cargo.toml -- COMMAND [--option value]..
//! ```
//!
//! Each command is a module of its own, prints one line of figures a scenario and a total, and ends with 0 only if nothing was violated.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    match command.as_str() {
        _ => {
            eprintln!("usage: dosql-sim COMMAND [--option value]..\ncommands: none yet");
            ExitCode::from(2)
        }
    }
}
