//! Keys and values one after the other in a few blocks of bytes, which never move: a place in them stays good.

/// The first block of the arena; each further one is twice as large, up to the last size.
const FIRST_BLOCK: usize = 256;
const LAST_BLOCK: usize = 1 << 20;

/// Bytes in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    block: u32,
    start: u32,
    len: u32,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }
}

/// Blocks of bytes that only grow.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    blocks: Vec<Vec<u8>>,
}

impl Arena {
    #[inline]
    pub(crate) fn get(&self, span: Span) -> &[u8] {
        let block = self.blocks.get(span.block as usize).map_or(&[][..], Vec::as_slice);
        block.get(span.start as usize..(span.start + span.len) as usize).unwrap_or_default()
    }

    /// Room for so many bytes in the last block.
    pub(crate) fn room(&mut self, len: usize) -> &mut Vec<u8> {
        let full = self.blocks.last().is_none_or(|block| block.capacity() - block.len() < len);
        if full {
            let next = self.blocks.last().map_or(FIRST_BLOCK, |block| (block.capacity() * 2).min(LAST_BLOCK));
            self.blocks.push(Vec::with_capacity(next.max(len)));
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    /// Adds bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Span {
        let block = self.room(bytes.len());
        let start = block.len() as u32;
        block.extend_from_slice(bytes);
        Span { block: (self.blocks.len() - 1) as u32, start, len: bytes.len() as u32 }
    }

    /// Bytes in all blocks, used or not any more.
    pub(crate) fn held(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    /// An empty one with room for so many bytes in its first block.
    pub(crate) fn with_room(len: usize) -> Arena {
        Arena { blocks: vec![Vec::with_capacity(len)] }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.blocks.iter().map(Vec::capacity).sum()
    }

    /// Writes over bytes that are at least as long.
    pub(crate) fn replace(&mut self, span: Span, bytes: &[u8]) -> Span {
        if let Some(block) = self.blocks.get_mut(span.block as usize) {
            let start = span.start as usize;
            block[start..start + bytes.len()].copy_from_slice(bytes);
        }
        Span { len: bytes.len() as u32, ..span }
    }
}
