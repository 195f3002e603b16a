//! The root of a tree: a plain value that the caller keeps, one per tree and published version.

use dosql_base::codec::Reader;
use dosql_base::{Error, Result};

use crate::PageId;

/// The root of one tree at one version. A plain value: keep it in a row or in the meta blob as
/// [`Root::to_bytes`] writes it. The writer changes it as the tree changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Root {
    pub(crate) page: PageId,
    pub(crate) epoch: u64,
    pub(crate) entries: u64,
    pub(crate) height: u8,
}

/// No tree is higher: every level at least doubles it.
pub(crate) const MAX_HEIGHT: u8 = 48;

impl Root {
    /// The tree that holds nothing.
    pub const EMPTY: Root = Root { page: PageId::NONE, epoch: 0, entries: 0, height: 0 };
    /// The length of an encoded root.
    pub const LEN: usize = 32;

    /// The page it starts at; none for the empty tree.
    #[must_use]
    pub const fn page(self) -> PageId {
        self.page
    }

    /// The epoch (checkpoint number) that wrote or will write the root page: the newest of the whole tree.
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// How many entries the tree holds, tombstones included.
    #[must_use]
    pub const fn entries(self) -> u64 {
        self.entries
    }

    /// Levels: 0 empty, 1 a single leaf.
    #[must_use]
    pub const fn height(self) -> u8 {
        self.height
    }

    /// Whether the tree holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.entries == 0
    }

    /// Its fixed encoding: page u64, epoch u64, entries u64, height u8, seven zero bytes; little-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Root::LEN] {
        let mut bytes = [0; Root::LEN];
        bytes[0..8].copy_from_slice(&self.page.get().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.entries.to_le_bytes());
        bytes[24] = self.height;
        bytes
    }

    /// Reads what [`Root::to_bytes`] wrote.
    ///
    /// # Errors
    /// `Corrupt` where `bytes` are not the encoding of a root.
    pub fn from_bytes(bytes: &[u8]) -> Result<Root> {
        let mut reader = Reader::new(bytes, "tree root");
        let page = PageId::new(reader.u64()?);
        let epoch = reader.u64()?;
        let entries = reader.u64()?;
        let height = reader.u8()?;
        let padding = reader.take(7)?;
        reader.finish()?;
        let empty = page.is_none();
        let sound = page <= PageId::MAX
            && epoch < 1 << 48
            && height <= MAX_HEIGHT
            && empty == (height == 0)
            && !(empty && entries != 0)
            && padding.iter().all(|&byte| byte == 0);
        if !sound {
            return Err(Error::corrupt("a tree root holds impossible numbers", format!("root of {page}")));
        }
        Ok(Root { page, epoch, entries, height })
    }
}

impl Default for Root {
    fn default() -> Self {
        Root::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_round_trips_and_its_bytes_stay_as_they_are() {
        let root = Root { page: PageId::new(0x0102), epoch: 3, entries: 0x0405, height: 6 };
        let bytes = root.to_bytes();
        let mut golden = [0u8; 32];
        golden[..2].copy_from_slice(&[2, 1]);
        golden[8] = 3;
        golden[16..18].copy_from_slice(&[5, 4]);
        golden[24] = 6;
        assert_eq!(bytes, golden);
        assert_eq!(Root::from_bytes(&bytes).unwrap(), root);
        assert_eq!(Root::from_bytes(&Root::EMPTY.to_bytes()).unwrap(), Root::EMPTY);
    }

    #[test]
    fn impossible_roots_are_refused() {
        let mut bytes = Root::EMPTY.to_bytes();
        bytes[24] = 1;
        assert!(Root::from_bytes(&bytes).is_err());
        assert!(Root::from_bytes(&bytes[..31]).is_err());
        let high = Root { page: PageId::new(1), epoch: 0, entries: 1, height: MAX_HEIGHT + 1 };
        assert!(Root::from_bytes(&high.to_bytes()).is_err());
    }
}
