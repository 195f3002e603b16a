//! The exhaustive protocols: short lives, crashed and disturbed at every call of the disk, and probes of what no crash exercises.
//!
//! ```text
//! scenarios/  the lives            scenario.rs  what one is
//! world.rs    disk, clock, open database      lived.rs  the model beside it      disk.rs  the stores, watched
//! told.rs     feeds, judged     published.rs  published points, judged
//! sweep.rs    crashes and crashes of the recovery     faults.rs  faults     probes/  damage, openers, segments
//! run.rs      the command
//! ```
//!
//! `dosql-sim protocols [--scenario NAME] [--seeds N] [--threads N]`

mod disk;
mod faults;
mod lived;
mod probes;
mod published;
mod run;
mod scenario;
mod scenarios;
mod sweep;
mod told;
mod world;

pub(crate) use probes::PROBES;
pub(crate) use run::command;
pub(crate) use scenarios::all as all_scenarios;
pub(crate) use sweep::{Depth, Figures, rehearse, sweep_call};
