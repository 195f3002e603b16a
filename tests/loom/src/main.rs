//! Models of the places where threads meet, over the engine's own code: loom runs each through every order in which its threads
//! can meet (with at most `LOOM_MAX_PREEMPTIONS` of them interrupted).
//!
//! Each model has a twin or more: the same with one ordering weakened or one check dropped. A twin must fail, or the model would
//! not have noticed a mistake.
//!
//! ```text
//! .ci/loom                       every model and every twin, each in a process of its own
//! dosql-loom MODEL [SWITCH]      one of them: what it fails with
//! ```

#[cfg(not(loom))]
fn main() {
    eprintln!("compiled without --cfg loom there is nothing to see; run .ci/loom");
    std::process::exit(2);
}

#[cfg(loom)]
mod database;
#[cfg(loom)]
mod log;
#[cfg(loom)]
mod pages;
#[cfg(loom)]
mod run;
#[cfg(loom)]
mod subscribers;
#[cfg(loom)]
mod turns;

#[cfg(loom)]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => run::all(),
        [model] => run::one(model, None),
        [model, switch] => run::one(model, Some(switch)),
        _ => std::process::ExitCode::from(2),
    }
}
