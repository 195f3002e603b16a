//! Spans for the `tracing` crate, behind the feature of the same name; without it nothing is compiled in.
//!
//! ```text
//! open > recover                        prepare { sql }     execute { sql } > commit { changes } > log_sync
//! checkpoint > gather, build, freeze, write > log_sync      rows (level TRACE)
//! shrink, backup
//! ```
//!
//! The target of all is `dosql`, the level DEBUG unless it says otherwise. What follows from a span (a commit on its thread's
//! `execute`) is inside it; a checkpoint in the background is a root.

/// Enters a span until the end of the scope: `span!("name")` or `span!("name", field = value)`.
macro_rules! span {
    ($($what:tt)*) => {
        #[cfg(feature = "tracing")]
        let _entered = ::tracing::debug_span!(target: "dosql", $($what)*).entered();
    };
}

/// As `span`, for what happens so often that only the level TRACE shows it.
macro_rules! trace_span {
    ($($what:tt)*) => {
        #[cfg(feature = "tracing")]
        let _entered = ::tracing::trace_span!(target: "dosql", $($what)*).entered();
    };
}

pub(crate) use {span, trace_span};
