//! One connection's way through SQL: prepares statements against the catalog as it is, runs them with all-or-nothing
//! statements, and keeps what lasts between statements (settings, counters, foreign keys to check at COMMIT).
//!
//! ```text
//! text ──parse──▶ Parsed ──Session::prepare──▶ Prepared ──Run::new, Run::step──▶ batches of rows, Outcome
//! ```
//!
//! BEGIN, COMMIT, ROLLBACK, SAVEPOINT and RELEASE are not carried out here: [`Prepared::transaction`] names them for the owner
//! of the transaction, who calls [`Session::check_deferred`] before a COMMIT, [`Session::end_transaction`] after COMMIT and
//! ROLLBACK, and [`Session::forget_catalog`] whenever writes were undone outside of a statement.

mod check;
mod explain;
mod pragma;
mod prepare;
mod run;
mod state;

pub use prepare::{Feed, FeedStart, Prepared, Transaction};
pub use run::{Outcome, Run, Step};
pub use state::{Counters, Session, Settings};
