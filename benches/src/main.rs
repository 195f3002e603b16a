//! dosql measured against its peers.
//!
//! ```text
//! cargo run --release -p dosql-bench -- kv  [--scale 0.1] [--rounds 3] [--engines dosql,redb] [--once sled] [--dir PATH]
//! cargo run --release -p dosql-bench -- sql [--scale 0.1] [--rounds 3]
//! cargo run --release -p dosql-bench -- time [--scale 0.1] [--rounds 3]
//! cargo run --release -p dosql-bench -- tier [--scale 0.1] [--rounds 1] [--slatedb PATH]
//! ```
//!
//! The driver starts a process for each engine and round, one after the other, in an order that moves on with the round, and
//! prints the medians as a Markdown table.

mod data;
mod driver;
mod engine;
mod engines;
mod kv;
mod measure;
mod reach;
mod report;
mod sql;
mod tier;
mod time;
mod warm;

use std::path::PathBuf;

use engine::{Engine, Result};
use kv::Plan;
use lexopt::prelude::*;
use report::Sheet;
use sql::SqlEngine;

/// What the command line says.
pub struct Arguments {
    command: String,
    engine: String,
    scale: f64,
    rounds: usize,
    engines: Vec<String>,
    /// Engines that take part in the first round only.
    once: Vec<String>,
    directory: Option<PathBuf>,
    /// The program that measures SlateDB, if it takes part.
    slatedb: Option<PathBuf>,
    acknowledged: u64,
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments {
        command: String::new(),
        engine: String::new(),
        scale: 0.1,
        rounds: 3,
        engines: Vec::new(),
        once: Vec::new(),
        directory: None,
        slatedb: None,
        acknowledged: 0,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("scale") => arguments.scale = parser.value()?.parse()?,
            Long("rounds") => arguments.rounds = parser.value()?.parse()?,
            Long("engines") => arguments.engines = list(parser.value()?.string()?),
            Long("once") => arguments.once = list(parser.value()?.string()?),
            Long("dir") => arguments.directory = Some(parser.value()?.into()),
            Long("slatedb") => arguments.slatedb = Some(parser.value()?.into()),
            Long("acknowledged") => arguments.acknowledged = parser.value()?.parse()?,
            Value(word) if arguments.command.is_empty() => arguments.command = word.string()?,
            Value(word) if arguments.engine.is_empty() => arguments.engine = word.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(arguments)
}

fn list(names: String) -> Vec<String> {
    names.split(',').map(str::to_owned).collect()
}

fn measure<E: Engine>(arguments: &Arguments, plan: &Plan) -> Result<()> {
    let mut sheet = Sheet::default();
    match arguments.command.as_str() {
        "measure-kv" => kv::session::<E>(plan, &mut sheet),
        "die-writing" => kv::die_writing::<E>(plan),
        "look-after" => kv::look_after::<E>(plan, arguments.acknowledged, &mut sheet),
        "scarce" => kv::scarce::<E>(plan, &mut sheet),
        "small" => kv::many::<E>(plan, &mut sheet),
        other => Err(format!("no such command: {other}; try kv, sql, time or tier").into()),
    }
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    match arguments.command.as_str() {
        "kv" => return driver::kv(&arguments),
        "sql" => return driver::sql(&arguments),
        "time" => return driver::time(&arguments),
        "tier" => return driver::tier(&arguments),
        _ => {}
    }
    let directory = arguments.directory.clone().ok_or("a measuring process needs --dir")?;
    let plan = Plan { directory, scale: arguments.scale };
    if arguments.command == "measure-time" {
        return time::session(&plan, &mut Sheet::default());
    }
    match arguments.command.as_str() {
        "measure-tier" => return tier::session(&plan, &mut Sheet::default()),
        "measure-map" if arguments.engine == "dosql" => {
            return tier::map::dosql(&plan, &mut Sheet::default());
        }
        #[cfg(feature = "rocksdb")]
        "measure-map" if arguments.engine == "rocksdb" => {
            return tier::map::rocksdb(&plan, &mut Sheet::default());
        }
        _ => {}
    }
    if arguments.command == "measure-sql" {
        let session: fn(&Plan, &mut Sheet) -> Result<()> = match arguments.engine.as_str() {
            sql::engines::Shipped::NAME => sql::session::<sql::engines::Shipped>,
            sql::engines::Forgetful::NAME => sql::session::<sql::engines::Forgetful>,
            sql::engines::SqliteSql::NAME => sql::session::<sql::engines::SqliteSql>,
            other => return Err(format!("no such SQL engine: {other}").into()),
        };
        return session(&plan, &mut Sheet::default());
    }
    let measure: fn(&Arguments, &Plan) -> Result<()> = match arguments.engine.as_str() {
        engines::dosql::Shipped::NAME => measure::<engines::dosql::Shipped>,
        engines::dosql::Forgetful::NAME => measure::<engines::dosql::Forgetful>,
        engines::redb::Redb::NAME => measure::<engines::redb::Redb>,
        engines::fjall::Fjall::NAME => measure::<engines::fjall::Fjall>,
        engines::heed::Heed::NAME => measure::<engines::heed::Heed>,
        engines::sled::Sled::NAME => measure::<engines::sled::Sled>,
        engines::sqlite::Sqlite::NAME => measure::<engines::sqlite::Sqlite>,
        #[cfg(feature = "rocksdb")]
        engines::rocksdb::Rocks::NAME => measure::<engines::rocksdb::Rocks>,
        other => return Err(format!("no such engine: {other}").into()),
    };
    measure(&arguments, &plan)
}
