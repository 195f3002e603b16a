//! The `dosql` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    dosql_cli::run(std::env::args_os().skip(1))
}
