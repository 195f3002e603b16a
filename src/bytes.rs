//! A value as a read hands it out: a cheap handle that keeps alive what it points into.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use dosql_btree::Entry;

/// The bytes of a value. Holds the page or the buffer that they lie in; dereferences to `[u8]`.
#[derive(Clone)]
pub struct Bytes(Place);

#[derive(Clone)]
enum Place {
    Page(Entry),
    Shared(Arc<[u8]>),
}

impl Bytes {
    pub(crate) fn page(entry: Entry) -> Self {
        Bytes(Place::Page(entry))
    }

    pub(crate) fn shared(bytes: Arc<[u8]>) -> Self {
        Bytes(Place::Shared(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Page(entry) => entry.value(),
            Place::Shared(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Bytes {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
