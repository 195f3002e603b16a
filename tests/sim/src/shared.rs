//! What the engine's own tests have and the simulation uses too.

#[path = "../../common/crash.rs"]
pub mod crash;
#[path = "../../common/golden.rs"]
pub mod golden;
