//! The change feed: every committed change, in order, as it becomes durable.
//!
//! ```
//! use dosql::{Database, Timestamp, feed::{Event, Op}};
//!
//! let db = Database::open_memory()?;
//! let connection = db.connect()?;
//! connection.execute("CREATE TABLE stock (id INTEGER PRIMARY KEY, left INTEGER)", ())?;
//! let mut changes = db.changes(db.last_commit())?;
//! connection.execute("INSERT INTO stock VALUES (7, 100)", ())?;
//!
//! let change = changes.next().expect("the feed of an open database does not end")?;
//! let Event::Row(row) = &change.event else { panic!("a row was inserted") };
//! assert_eq!((row.op, row.table.name.as_str()), (Op::Insert, "stock"));
//! assert_eq!(change.timestamp, db.last_commit());
//! # Ok::<(), dosql::Error>(())
//! ```
//!
//! The log is the feed, so subscribers cost writers nothing; what the log no longer holds is put together again from history. A
//! subscriber has a position and nothing else: it may go away at any time and come back.
//!
//! ```text
//! Feed (what is wanted) --after--> Changes (iterator, stream)
//!                                     |
//!   snapshot.rs   the rows of a moment|, where everything was asked for
//!   raw.rs        commits after it, from log_tail.rs or past.rs
//!                                     |
//!   schema.rs     which table a key belongs to, then      decode.rs   keys and values as rows
//!   filter.rs     which of them are wanted                json.rs     rows as text
//! subscribers.rs  who waits       slot.rs   named places that the database remembers, slot_row.rs their rows
//! ```

mod change;
mod decode;
mod filter;
#[cfg(feature = "json")]
mod json;
mod log_tail;
mod past;
mod raw;
mod schema;
pub(crate) mod slot;
pub(crate) mod slot_row;
mod snapshot;
mod stream;
mod subscribers;

pub use change::{Change, Column, EntryChange, Event, Object, Op, Position, RowChange, SchemaChange, Table};
pub use filter::Feed;
#[cfg(feature = "json")]
pub use json::{Format, value_to_json};
pub use slot::{FeedInfo, FeedStart, FeedState, NewFeed, Slot};
pub use stream::Changes;
pub(crate) use subscribers::Subscribers;
