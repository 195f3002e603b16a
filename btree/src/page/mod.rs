//! The bytes of pages. Everything here works on byte slices and knows neither stores nor caches.
//!
//! ```text
//! 0        32         64      128                                             page_size
//! | header | node     | hints | slots -> ... free space ... <- heap: entries, fences |   leaf, inner
//! | header | chain  | payload                                                        |   overflow, free list
//! ```
//!
//! The header (32 bytes, [`format::PageHeader`]) says what the page is, which one, when it was written, and
//! carries a checksum over everything else in the page, seeded with the page id.

pub(crate) mod chain;
pub(crate) mod format;
pub(crate) mod leaf;
pub(crate) mod node;
pub(crate) mod node_mut;
pub(crate) mod prefetch;
pub(crate) mod verify;
