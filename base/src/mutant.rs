//! Switches that weaken the engine on purpose, so that the simulation can show that every sync, order and check is needed.
//!
//! A place that matters asks [`weakened`] by the name of its switch, and leaves out what it does where the answer is yes. Without the
//! feature `mutants`, which only the simulation turns on, the answer is a constant no, and nothing of it is compiled. The switches, and
//! what must notice each, are listed in `tests/sim/src/mutants/list.rs`.

#[cfg(feature = "mutants")]
mod on {
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<&'static str>> = const { Cell::new(None) };
        static REACHED: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether this thread runs with the switch `name` on.
    #[inline]
    #[must_use]
    pub fn weakened(name: &str) -> bool {
        let active = ACTIVE.get().is_some_and(|active| active == name);
        if active {
            REACHED.set(true);
        }
        active
    }

    /// Turns one switch on in this thread, and any other off; `None` turns all off.
    pub fn weaken(name: Option<&'static str>) {
        ACTIVE.set(name);
        REACHED.set(false);
    }

    /// The switch that is on in this thread, to turn it on in another that works for it.
    #[must_use]
    pub fn weakness() -> Option<&'static str> {
        ACTIVE.get()
    }

    /// Whether this thread has asked for the switch that is on: a name that no place asks for would weaken nothing.
    #[must_use]
    pub fn weakness_was_reached() -> bool {
        REACHED.get()
    }
}

#[cfg(feature = "mutants")]
pub use on::{weaken, weakened, weakness, weakness_was_reached};

/// Whether the switch `name` is on: never, in this build.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
#[must_use]
pub const fn weakened(_name: &str) -> bool {
    false
}
