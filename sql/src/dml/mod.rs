//! INSERT, UPDATE, DELETE and what follows from them.
//!
//! ```text
//! compile.rs      tree to plan                     plan.rs         the plans
//! trigger.rs      which triggers, bound            programs.rs     where the bound ones are kept
//! machine.rs      the stack of what is to be done  source.rs       the rows to change, gathered
//! op.rs           one row's change, step by step   constraints.rs  what a row must fulfil
//! direct.rs       the short way of plain changes   build.rs      all entries of an index
//! write.rs        rows and index entries           foreign_key.rs  parents and children
//! parent.rs       which key a foreign key means
//! ```

pub(crate) mod build;
pub(crate) mod compile;
pub(crate) mod constraints;
pub(crate) mod direct;
pub(crate) mod foreign_key;
pub(crate) mod machine;
mod op;
pub(crate) mod parent;
pub mod plan;
pub(crate) mod programs;
mod source;
pub(crate) mod trigger;
pub(crate) mod write;

pub use foreign_key::Suspect;
pub use machine::{Surroundings, Undo};
pub use programs::Programs;
