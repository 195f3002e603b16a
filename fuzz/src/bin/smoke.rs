//! Runs the targets for a while on stable Rust: first every regression, then committed seeds, mutated.
//!
//! `smoke [--seconds N] [--target NAME] [--seed N]`, or `smoke --list` for the names. An input that fails is written to `failures/TARGET-SEED`, and the exit code is 1.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dosql_fuzz::dictionary::words;
use dosql_fuzz::mutate::mutate;
use dosql_fuzz::{TARGETS, Target};

struct Arguments {
    seconds: u64,
    target: Option<String>,
    seed: u64,
    list: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments { seconds: 60, target: None, seed: 1, list: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--list" {
            parsed.list = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} needs a number"));
        match word.as_str() {
            "--seconds" => parsed.seconds = number()?,
            "--seed" => parsed.seed = number()?,
            "--target" => parsed.target = Some(value),
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\nusage: smoke [--seconds N] [--target NAME] [--seed N] | --list");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        TARGETS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| arguments.target.as_deref().is_none_or(|target| target == name);
    let chosen: Vec<_> = TARGETS.iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        eprintln!(
            "no such target; there are {}",
            TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        );
        return ExitCode::from(2);
    }
    let time = Duration::from_millis(arguments.seconds * 1000 / chosen.len() as u64);
    let mut failed = false;
    for (name, target) in chosen {
        failed |= !run(name, *target, time, arguments.seed);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether nothing failed.
fn run(name: &str, target: Target, time: Duration, seed: u64) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, input) in inputs(&root.join("regressions").join(name)) {
        if !holds(target, &input) {
            eprintln!("{name}: the regression {} is back", path.display());
            return false;
        }
    }
    let seeds: Vec<Vec<u8>> =
        inputs(&root.join("seeds").join(name)).into_iter().map(|(_, input)| input).collect();
    let words = words(name);
    let start = Instant::now();
    let mut executions = 0u64;
    while start.elapsed() < time {
        let number = seed.wrapping_mul(1 << 32).wrapping_add(executions);
        let input = input_of(number, &seeds, &words);
        executions += 1;
        if !holds(target, &input) {
            let path = root.join("failures").join(format!("{name}-{number}"));
            let written =
                std::fs::create_dir_all(root.join("failures")).and_then(|()| std::fs::write(&path, &input));
            let place = written.map_or_else(|error| error.to_string(), |()| path.display().to_string());
            eprintln!("{name}: execution {executions} of seed {seed} failed; the input: {place}");
            return false;
        }
    }
    println!("{name:>14} {executions:>8} executions in {:.1} s", start.elapsed().as_secs_f64());
    true
}

/// The input of this number: random bytes, or a seed that was changed.
fn input_of(number: u64, seeds: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    if seeds.is_empty() || random.u8(..8) == 0 {
        return (0..random.usize(..400)).map(|_| random.u8(..)).collect();
    }
    let seed = &seeds[random.usize(..seeds.len())];
    let other = &seeds[random.usize(..seeds.len())];
    mutate(&mut random, seed, other, words)
}

fn holds(target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).is_ok()
}

/// The files of a folder in the order of their names.
fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| Some((path.clone(), std::fs::read(&path).ok()?))).collect()
}
