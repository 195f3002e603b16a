//! The pages of a published point, as objects in the segment store: a page store that is written once and then only read.
//!
//! ```text
//! object 0     pages 1 .. n, one after the other
//! object 1     pages n+1 ..
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::sync::Mutex;
use dosql_base::{Error, Result};
use dosql_btree::{Batch, Caps, PageId, PageStore, StoreStats};
use dosql_lsm::{SegmentStore, put_shared_idempotent};

use super::Tier;

/// Bytes that are read at once, and how many of such pieces are kept.
const PIECE_BYTES: u64 = 256 << 10;
const PIECES: usize = 16;
/// The longest meta blob that a page store of files takes.
const MAX_META: usize = 2048;

/// Pages that lie in an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImagePart {
    pub(crate) name: String,
    /// The number of its first page; the next follow.
    first: u64,
    count: u64,
}

impl ImagePart {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_varint(out, self.first);
        put_varint(out, self.count);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<ImagePart> {
        let name = reader.str()?.to_owned();
        Ok(ImagePart { name, first: reader.varint()?, count: reader.varint()? })
    }

    /// The number of the page after its last, where its pages can be, after those before `next`.
    pub(crate) fn after(&self, next: u64) -> Option<u64> {
        let after = self.first.checked_add(self.count).filter(|after| *after <= PageId::MAX.get() + 1);
        after.filter(|_| self.first >= next && self.count > 0)
    }
}

/// Takes the pages of an image as they are made.
pub(crate) struct ImageWriter {
    tier: Arc<Tier>,
    page_size: usize,
    made: Mutex<(Vec<ImagePart>, Vec<u8>)>,
}

impl ImageWriter {
    pub(crate) fn new(tier: &Arc<Tier>, page_size: usize) -> Arc<ImageWriter> {
        Arc::new(ImageWriter { tier: Arc::clone(tier), page_size, made: Mutex::default() })
    }

    /// The objects, and the meta blob that came last.
    pub(crate) fn take(&self) -> (Vec<ImagePart>, Vec<u8>) {
        std::mem::take(&mut self.made.lock())
    }

    fn put(&self, puts: &[(PageId, &[u8])]) -> Result<()> {
        let Some((first, _)) = puts.first() else { return Ok(()) };
        let in_turn = puts.iter().zip(first.get()..).all(|((id, _), expected)| id.get() == expected);
        if !in_turn {
            return Err(Error::unsupported("an image takes pages in the order of their numbers"));
        }
        let name = self.tier.name_of(self.tier.new_id());
        let mut bytes = Vec::with_capacity(puts.len() * self.page_size);
        puts.iter().for_each(|(_, page)| bytes.extend_from_slice(page));
        if let Err(error) = put_shared_idempotent(&*self.tier.store, &name, &Arc::new(bytes)) {
            self.tier.abandon([name]);
            return Err(error);
        }
        let part = ImagePart { name, first: first.get(), count: puts.len() as u64 };
        self.made.lock().0.push(part);
        Ok(())
    }
}

impl Drop for ImageWriter {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.made.lock().0);
        self.tier.abandon(left.into_iter().map(|part| part.name));
    }
}

impl PageStore for ImageWriter {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn read(&self, id: PageId, _buf: &mut [u8]) -> Result<()> {
        Err(Error::unsupported("an image is not read while it is written").at(id.to_string()))
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        self.put(batch.puts)?;
        self.made.lock().1 = batch.meta.to_vec();
        Ok(())
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn caps(&self) -> Caps {
        Caps { max_meta: MAX_META, durable: true, may_block: false }
    }
}

/// A piece of an object in memory: of this part, at this place.
type Piece = ((usize, u64), Arc<[u8]>);

/// Reads the pages of an image.
pub(crate) struct ImagePages {
    store: Arc<dyn SegmentStore>,
    page_size: usize,
    parts: Vec<ImagePart>,
    meta: Vec<u8>,
    /// Pieces of objects that were read last, by part and place; the newest last.
    near: Mutex<VecDeque<Piece>>,
}

impl ImagePages {
    pub(crate) fn new(
        store: Arc<dyn SegmentStore>,
        page_size: usize,
        parts: Vec<ImagePart>,
        meta: Vec<u8>,
    ) -> ImagePages {
        ImagePages { store, page_size, parts, meta, near: Mutex::default() }
    }

    /// The part that a page lies in, and where in it.
    fn find(&self, id: PageId) -> Option<(usize, u64)> {
        let at = self.parts.partition_point(|part| part.first <= id.get()).checked_sub(1)?;
        let part = self.parts.get(at).filter(|part| id.get() - part.first < part.count)?;
        Some((at, (id.get() - part.first) * self.page_size as u64))
    }

    /// A piece of an object, from memory if it was read just now.
    fn piece(&self, part: usize, piece: u64) -> Result<Arc<[u8]>> {
        let known =
            self.near.lock().iter().find(|(place, _)| *place == (part, piece)).map(|(_, it)| Arc::clone(it));
        if let Some(known) = known {
            return Ok(known);
        }
        let ImagePart { name, count, .. } = &self.parts[part];
        let (from, end) = (piece * PIECE_BYTES, count * self.page_size as u64);
        let bytes: Arc<[u8]> = self.store.read(name, from..end.min(from + PIECE_BYTES))?.into();
        let mut near = self.near.lock();
        if near.len() >= PIECES {
            near.pop_front();
        }
        near.push_back(((part, piece), Arc::clone(&bytes)));
        Ok(bytes)
    }
}

impl PageStore for ImagePages {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        let missing = || Error::corrupt("a published point lacks a page", id.to_string());
        // A piece holds whole pages: both are powers of two.
        let (at, offset) = self.find(id).ok_or_else(missing)?;
        let piece = self.piece(at, offset / PIECE_BYTES)?;
        let from = (offset % PIECE_BYTES) as usize;
        let page = piece.get(from..from + self.page_size).ok_or_else(missing)?;
        buf.copy_from_slice(page);
        Ok(())
    }

    fn place(&self, id: PageId) -> String {
        match self.find(id) {
            Some((part, offset)) => {
                format!("{id} of a published point: object {}, byte {offset}", self.parts[part].name)
            }
            None => id.to_string(),
        }
    }

    fn commit(&self, _batch: Batch<'_>) -> Result<()> {
        Err(Error::unsupported("a published point is only read"))
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.meta.clone()))
    }

    fn stats(&self) -> StoreStats {
        let bytes = self.parts.iter().map(|part| part.count * self.page_size as u64).sum();
        StoreStats { bytes, ..StoreStats::default() }
    }

    fn caps(&self) -> Caps {
        Caps { max_meta: MAX_META, durable: true, may_block: true }
    }
}
