//! Runs models and their twins.

use std::process::{Command, ExitCode, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dosql_base::mutant;

/// A model, and the switches that make a twin of it.
pub struct Model {
    pub name: &'static str,
    pub run: fn(),
    pub twins: &'static [&'static str],
    /// Interruptions of a thread, where more would take too long.
    pub most_preemptions: usize,
}

const MODELS: &[&[Model]] = &[
    crate::log::MODELS,
    crate::turns::MODELS,
    crate::subscribers::MODELS,
    crate::pages::MODELS,
    crate::database::MODELS,
];

fn models() -> impl Iterator<Item = &'static Model> {
    MODELS.iter().copied().flatten()
}

/// Runs each in a process of its own: a model that fails may leave its threads where they were.
pub fn all() -> ExitCode {
    let (mut wrong, mut held, mut failed) = (Vec::new(), 0, 0);
    for model in models() {
        let start = Instant::now();
        let output = child(&[model.name]);
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{:<24} {:>30} {:>6.1} s", model.name, said.trim(), start.elapsed().as_secs_f64());
        if output.status.success() {
            held += 1;
        } else {
            wrong.push(format!("{} fails: {}", model.name, reason(&output)));
        }
        for switch in model.twins {
            let start = Instant::now();
            let output = child(&[model.name, switch]);
            let reason = reason(&output);
            println!("  without {switch:<28} {:>6.1} s  {reason}", start.elapsed().as_secs_f64());
            if output.status.success() || reason.is_empty() {
                wrong.push(format!("{} does not notice {switch}", model.name));
            } else {
                failed += 1;
            }
        }
    }
    let twins: usize = models().map(|model| model.twins.len()).sum();
    println!("{held} of {} models hold, {failed} of {twins} twins fail", models().count());
    wrong.iter().for_each(|what| println!("WRONG {what}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn child(arguments: &[&str]) -> Output {
    let program = std::env::current_exe().expect("a program knows where it is");
    Command::new(program)
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("a program can start itself")
}

/// What the first panic said.
fn reason(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines().skip_while(|line| !line.contains("panicked at"));
    lines.nth(1).unwrap_or_default().chars().take(100).collect()
}

/// Runs one model, with a switch on or none. Ends the process where it fails.
pub fn one(name: &str, switch: Option<&str>) -> ExitCode {
    let Some(model) = models().find(|model| model.name == name) else {
        println!("no model is called {name}");
        return ExitCode::from(2);
    };
    let switch = switch.and_then(|wanted| model.twins.iter().copied().find(|switch| *switch == wanted));
    mutant::weaken(switch);
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.map(|most| most.min(model.most_preemptions));
    let run = model.run;
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        run();
    });
    println!("{} orders", executions.load(Ordering::Relaxed));
    ExitCode::SUCCESS
}
