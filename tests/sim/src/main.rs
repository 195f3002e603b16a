//! The simulation that tries to break dosql.
//!
//! ```text
//! cargo run --release --manifest-path tests/sim/Cargo.toml -- COMMAND [--option value]..
//! ```
//!
//! Each command is a module of its own, prints one line of figures a scenario and a total, and ends with 0 only if nothing was violated.

#![allow(
    clippy::disallowed_methods,
    reason = "it stands outside the engine: it has threads, files and a watch"
)]

mod corruption;
#[allow(dead_code, reason = "shared with the tests of the engine")]
#[path = "../../common/crash.rs"]
mod crash;
#[path = "../../common/golden.rs"]
mod golden;
mod isolation;
mod ledger;
mod model;
mod mutants;
#[cfg(feature = "peers")]
mod peers;
mod plan;
mod plans;
mod protocols;
mod queries;
mod shrink;
mod world;

use std::process::ExitCode;

const USAGE: &str = "usage: dosql-sim COMMAND [--option value]..
commands:
  plans --seeds N [--from S] [--steps K] [--threads T]   random lives, judged by a model
  replay --seed S [--steps K] [--shrink]                 one of them again, operation by operation
  determinism --seeds N [--from S] [--steps K]           the same seed twice makes the same calls
  corruption                                             small databases, with every byte of their files damaged
  isolation                                              histories of transactions, looked through for cycles
  queries [--queries N] [--from S] [--seeds N] [--threads T]   random SQL, judged by SQLite and by its own variations
  ledger write|check PATH ..                             real files, whose disk somebody else takes away: .ci/real-world
  peers [--every N]                                      corruption of SQLite and redb, where built with the feature `peers`
  protocols [--scenario NAME] [--seeds N] [--again N]    short lives, crashed and disturbed at every call
  mutants [--only NAME]                                  the engine weakened on purpose: each weakness must be noticed";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let parser = lexopt::Parser::from_args(arguments);
    let result = match command.as_str() {
        "plans" => plans::plans(parser),
        "replay" => plans::replay(parser),
        "determinism" => plans::determinism(parser),
        "corruption" => corruption::command(parser),
        "isolation" => isolation::command(parser),
        "mutants" => mutants::command(parser),
        "queries" => queries::command(parser),
        "ledger" => ledger::command(parser),
        #[cfg(feature = "peers")]
        "peers" => peers::command(parser),
        "protocols" => protocols::command(parser),
        _ => {
            eprintln!("{USAGE}");
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
