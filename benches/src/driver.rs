//! The driver: processes started one after the other, engines interleaved, figures gathered.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Arguments;
use crate::engine::Result;
use crate::report::Table;
use crate::warm::touch_free_memory;

/// How long a process may write before it is killed.
const UNTIL_KILLED: Duration = Duration::from_millis(400);

const KV_ENGINES: &[&str] = &[
    "dosql",
    "dosql-r0",
    "redb",
    "fjall",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
    "heed",
    "sled",
    "sqlite",
];

const TIER_ENGINES: &[&str] = &[
    "dosql",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
];

/// Measures the key-value workloads and prints the table.
pub fn kv(arguments: &Arguments) -> Result<()> {
    interleave(arguments, KV_ENGINES, |table, column, engine, directory| {
        gather(start("measure-kv", engine, arguments.scale, directory, &[])?, table, column)?;
        let acknowledged = kill_while_writing(engine, arguments.scale, directory)?;
        let promised = ["--acknowledged".to_owned(), acknowledged.to_string()];
        gather(start("look-after", engine, arguments.scale, directory, &promised)?, table, column)?;
        gather(start("scarce", engine, arguments.scale, directory, &[])?, table, column)?;
        gather(start("small", engine, arguments.scale, directory, &[])?, table, column)
    })
}

/// Measures the SQL workloads and prints the table.
pub fn sql(arguments: &Arguments) -> Result<()> {
    interleave(arguments, &["dosql", "dosql-r0", "sqlite"], |table, column, engine, directory| {
        gather(start("measure-sql", engine, arguments.scale, directory, &[])?, table, column)
    })
}

/// Measures what the past costs and prints the table.
pub fn time(arguments: &Arguments) -> Result<()> {
    interleave(arguments, &["dosql"], |table, column, engine, directory| {
        gather(start("measure-time", engine, arguments.scale, directory, &[])?, table, column)
    })
}

/// Measures what a hot budget costs and spares, beside engines that keep their data in an object store, and prints the table.
pub fn tier(arguments: &Arguments) -> Result<()> {
    let slatedb = arguments.slatedb.iter().flat_map(|_| ["slatedb", "slatedb-1g"]);
    let engines: Vec<&str> = TIER_ENGINES.iter().copied().chain(slatedb).collect();
    interleave(arguments, &engines, |table, column, engine, directory| {
        if engine == TIER_ENGINES[0] {
            gather(start("measure-tier", engine, arguments.scale, directory, &[])?, table, column)?;
        }
        match &arguments.slatedb {
            Some(program) if engine.starts_with("slatedb") => {
                let process = begin(program, "measure-map", engine, arguments.scale, directory, &[])?;
                gather(process, table, column)
            }
            _ => gather(start("measure-map", engine, arguments.scale, directory, &[])?, table, column),
        }
    })
}

/// From this scale on the memory of the machine is touched before anything is measured.
const WARMED_SCALE: f64 = 0.1;

/// Goes round the engines, the order moving on by one a round, and prints the table in the end, and what there is of it after
/// each round to where errors go.
fn interleave(
    arguments: &Arguments,
    all: &[&str],
    mut measure: impl FnMut(&mut Table, usize, &str, &Path) -> Result<()>,
) -> Result<()> {
    let engines: Vec<String> = match arguments.engines.is_empty() {
        true => all.iter().map(|&name| name.to_owned()).collect(),
        false => arguments.engines.clone(),
    };
    let base = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench-data"),
    };
    if arguments.scale >= WARMED_SCALE {
        touch_free_memory();
    }
    let (mut table, began_all) = (Table::new(&engines), Instant::now());
    for round in 0..arguments.rounds {
        for turn in 0..engines.len() {
            let column = (turn + round) % engines.len();
            let engine = &engines[column];
            if round > 0 && arguments.once.contains(engine) {
                continue;
            }
            let directory = base.join(engine);
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory)?;
            let began = Instant::now();
            if let Err(error) = measure(&mut table, column, engine, &directory) {
                eprintln!("{engine}: {error}");
            }
            let (own, all) = (began.elapsed().as_secs_f64(), began_all.elapsed().as_secs_f64());
            eprintln!("round {} of {}, {engine}: {own:.1} s, {all:.0} s in all", round + 1, arguments.rounds);
            let _ = fs::remove_dir_all(&directory);
        }
        // What there is so far, should the rest not be waited for.
        if round + 1 < arguments.rounds {
            eprint!("{}", table.markdown());
        }
    }
    print!("{}", table.markdown());
    Ok(())
}

fn start(command: &str, engine: &str, scale: f64, directory: &Path, more: &[String]) -> Result<Child> {
    begin(&std::env::current_exe()?, command, engine, scale, directory, more)
}

fn begin(
    program: &Path,
    command: &str,
    engine: &str,
    scale: f64,
    directory: &Path,
    more: &[String],
) -> Result<Child> {
    let mut process = Command::new(program);
    process.args([command, engine, "--scale", &scale.to_string(), "--dir"]).arg(directory).args(more);
    Ok(process.stdout(Stdio::piped()).spawn()?)
}

fn gather(mut child: Child, table: &mut Table, column: usize) -> Result<()> {
    let output = child.stdout.take().ok_or("a process without output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if !table.take_line(column, &line) {
            eprintln!("disagrees, or is no figure: {line}");
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the measuring process ended with {status}").into()) }
}

/// Kills a process in the middle of durable commits. Returns how many entries it had acknowledged.
fn kill_while_writing(engine: &str, scale: f64, directory: &Path) -> Result<u64> {
    let mut child = start("die-writing", engine, scale, directory, &[])?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("a process without output")?).lines();
    let mut acknowledged = 0;
    let mut first = None;
    for line in &mut lines {
        acknowledged = line?.trim().parse()?;
        let began = *first.get_or_insert_with(Instant::now);
        if began.elapsed() >= UNTIL_KILLED {
            child.kill()?;
            break;
        }
    }
    // What it had said before the kill arrived counts too.
    for line in lines {
        if let Some(number) = line.ok().and_then(|line| line.trim().parse().ok()) {
            acknowledged = number;
        }
    }
    child.wait()?;
    Ok(acknowledged)
}
