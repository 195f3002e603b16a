//! The exhaustive protocols: short lives, crashed and disturbed at every call of the disk.
//!
//! `dosql-sim protocols [--scenario NAME] [--seeds N] [--threads N]`

mod disk;
mod faults;
mod lived;
mod run;
mod scenario;
mod scenarios;
mod sweep;
mod world;

pub(crate) use run::command;
