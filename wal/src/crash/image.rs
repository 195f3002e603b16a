//! The bytes of a file, in blocks that copies share until they are written: a disk is copied at every crash, and few of its bytes change.

use std::sync::{Arc, LazyLock};

const BLOCK: usize = 4096;

type Block = Arc<[u8; BLOCK]>;

static ZEROS: LazyLock<Block> = LazyLock::new(|| Arc::new([0; BLOCK]));

/// See above. Bytes of the last block beyond the length are zeros.
#[derive(Clone, Default)]
pub(super) struct Image {
    blocks: Vec<Block>,
    len: usize,
}

impl Image {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Cuts it, or extends it with zeros.
    pub(super) fn resize(&mut self, len: usize) {
        if len < self.len && !len.is_multiple_of(BLOCK) {
            Arc::make_mut(&mut self.blocks[len / BLOCK])[len % BLOCK..].fill(0);
        }
        self.blocks.resize_with(len.div_ceil(BLOCK), || Arc::clone(&ZEROS));
        self.len = len;
    }

    /// Writes, and grows where it has to.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.resize(self.len.max(at + bytes.len()));
        for piece in pieces(at, bytes.len()) {
            let here = (at + piece.start) % BLOCK;
            let block = Arc::make_mut(&mut self.blocks[(at + piece.start) / BLOCK]);
            block[here..here + piece.len()].copy_from_slice(&bytes[piece]);
        }
    }

    /// Reads as many bytes from `at` as there are and fit; returns how many.
    pub(super) fn read(&self, at: usize, buffer: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(at).min(buffer.len());
        for piece in pieces(at, len) {
            let here = (at + piece.start) % BLOCK;
            let block = &self.blocks[(at + piece.start) / BLOCK];
            buffer[piece.clone()].copy_from_slice(&block[here..here + piece.len()]);
        }
        len
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(0, &mut bytes);
        bytes
    }
}

impl From<Vec<u8>> for Image {
    fn from(bytes: Vec<u8>) -> Self {
        let mut image = Image::default();
        image.write(0, &bytes);
        image
    }
}

/// The stretches of `len` bytes at `at`, block by block.
fn pieces(at: usize, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let start = done;
        done = (start + BLOCK - (at + start) % BLOCK).min(len);
        (start < len).then_some(start..done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_its_bytes_whatever_becomes_of_the_other() {
        let mut image = Image::from((0..10_000).map(|i| i as u8).collect::<Vec<_>>());
        let copy = image.clone();
        image.write(4_090, &[7; 20]);
        image.resize(5_000);
        image.resize(9_000);
        let mut expected: Vec<u8> = (0..5_000).map(|i| i as u8).collect();
        expected[4_090..4_110].fill(7);
        expected.resize(9_000, 0);
        assert_eq!(image.to_vec(), expected);
        assert_eq!(copy.to_vec(), (0..10_000).map(|i| i as u8).collect::<Vec<_>>());
        let mut tail = [1; 8];
        assert_eq!(copy.read(9_996, &mut tail), 4);
    }
}
