//! What a page must be before anybody reads it: the checksum says that it is as it was written, the structure says that
//! reading it stays within its bounds, whoever wrote it.

use std::cmp::Ordering;

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result};

use super::chain;
use super::format::{
    FORMAT, FREE_LIST, INNER, LEAF, NO_HIGH, OVERFLOW, PageHeader, SLOT, SLOTS_AT, is_sealed,
};
use super::leaf;
use super::node::{CHILD, KeyBuffer, Node, common_prefix, rest_len};
use crate::root::MAX_HEIGHT;

fn corrupt(id: u64, what: &str) -> Error {
    Error::corrupt(format!("{what}; restore from a backup"), format!("page {id}"))
}

/// Checks a page just read from the store at `id`, which was written in `epoch`. With the checksum `known` its structure is known to be right.
///
/// # Errors
/// `Corrupt`, or `Unsupported` for a page of a newer format.
pub(crate) fn page(bytes: &[u8], id: u64, epoch: u64, known: Option<u32>) -> Result<()> {
    let header = PageHeader::of(bytes);
    let place = if weakened("page-place-unchecked") { header.id.get() } else { id };
    if !is_sealed(bytes, place) && !weakened("page-sum-unchecked") {
        return Err(corrupt(id, "the checksum of a page is wrong: torn, damaged or misplaced"));
    }
    if header.id.get() != place {
        return Err(corrupt(id, "a page lies where another belongs"));
    }
    if header.format > FORMAT {
        return Err(Error::unsupported(format!(
            "page format {} is newer than {FORMAT}: use a newer dosql",
            header.format
        ))
        .at(format!("page {id}")));
    }
    if header.epoch.get() != epoch && !weakened("page-epoch-unchecked") {
        return Err(corrupt(
            id,
            &format!("a page is of checkpoint {}, not {epoch}: a write was lost", header.epoch),
        ));
    }
    if known == Some(header.crc.get()) {
        debug_assert!(structure(bytes).is_ok(), "page {id} was checked before");
        return Ok(());
    }
    structure(bytes).map_err(|what| corrupt(id, &format!("a page is not well formed: {what}")))
}

/// Checks the structure of a page of any kind.
fn structure(bytes: &[u8]) -> Result<(), &'static str> {
    match PageHeader::of(bytes).kind {
        LEAF | INNER => node(bytes),
        OVERFLOW | FREE_LIST => chain::parts(bytes).map(|_| ()).ok_or("its length is impossible"),
        _ => Err("its kind is unknown"),
    }
}

/// Which bytes of a page are taken, to find overlaps.
struct Claims<'a> {
    /// A bit a byte.
    taken: &'a mut [u64],
    heap_start: usize,
    end: usize,
    bytes: usize,
}

impl Claims<'_> {
    /// Takes `len` bytes at `at`; false where they are outside the heap or already taken.
    fn take(&mut self, at: usize, len: usize) -> bool {
        if len == 0 {
            return true;
        }
        let end = at + len;
        if at < self.heap_start || end > self.end {
            return false;
        }
        self.bytes += len;
        let (first, last) = (at / 64, (end - 1) / 64);
        let Some(taken) = self.taken.get_mut(first..=last) else { return false };
        let (head, tail) = (u64::MAX << (at % 64), u64::MAX >> (63 - (end - 1) % 64));
        let mut before = 0;
        match taken {
            [word] => {
                before |= *word & head & tail;
                *word |= head & tail;
            }
            [low, middle @ .., high] => {
                before |= (*low & head) | (*high & tail);
                *low |= head;
                *high |= tail;
                for word in middle {
                    before |= *word;
                    *word = u64::MAX;
                }
            }
            [] => {}
        }
        before == 0
    }
}

/// Checks the structure of a leaf or inner page.
pub(crate) fn node(bytes: &[u8]) -> Result<(), &'static str> {
    // Clearing more bits than the page has bytes would take as long as the rest.
    match bytes.len() {
        ..=4096 => node_of::<{ 4096 / 64 }>(bytes),
        4097..=8192 => node_of::<{ 8192 / 64 }>(bytes),
        8193..=16384 => node_of::<{ 16384 / 64 }>(bytes),
        _ => node_of::<{ crate::MAX_PAGE_SIZE / 64 }>(bytes),
    }
}

/// Of its own for each size, so that the stack has room for the bits of one only.
#[inline(never)]
fn node_of<const WORDS: usize>(bytes: &[u8]) -> Result<(), &'static str> {
    node_with(bytes, &mut [0; WORDS])
}

fn node_with(bytes: &[u8], taken: &mut [u64]) -> Result<(), &'static str> {
    let node = Node::try_new(bytes).ok_or("it has more slots than room")?;
    let header = node.header;
    let leaf = node.is_leaf();
    if header.zero != 0 || header.zero_too.get() != 0 || header.page.flags.get() & !NO_HIGH != 0 {
        return Err("reserved bytes are not zero");
    }
    if header.level >= MAX_HEIGHT || leaf != (header.level == 0) {
        return Err("its level is impossible");
    }
    let heap_start = header.heap_start.get() as usize;
    if heap_start > bytes.len() || heap_start < SLOTS_AT + SLOT * node.count() {
        return Err("heap and slots overlap");
    }
    let mut claims = Claims { taken, heap_start, end: bytes.len(), bytes: 0 };
    fences(&node, &mut claims)?;
    if !leaf && node.count() == 0 {
        return Err("an inner page has no child");
    }
    for i in 0..node.count() {
        entry(&node, i, leaf, &mut claims)?;
    }
    if claims.bytes + usize::from(header.garbage.get()) != bytes.len() - heap_start {
        return Err("the free space does not add up");
    }
    order(&node)?;
    let hints = Node::hints(node.slots);
    if header.hints.iter().zip(hints).any(|(stored, right)| stored.get() != right) {
        return Err("the hints are wrong");
    }
    Ok(())
}

fn fences(node: &Node<'_>, claims: &mut Claims<'_>) -> Result<(), &'static str> {
    let header = node.header;
    let (low_off, low_len) = (usize::from(header.low_off.get()), usize::from(header.low_len.get()));
    let (high_off, high_len) = (usize::from(header.high_off.get()), usize::from(header.high_len.get()));
    if !claims.take(low_off, low_len) || !claims.take(high_off, high_len) {
        return Err("a fence lies outside the heap");
    }
    if (low_len == 0 && low_off != 0) || (high_len == 0 && high_off != 0) {
        return Err("an empty fence has a place");
    }
    let prefix = match node.high() {
        None if high_len != 0 => return Err("it has a high fence and none"),
        None => 0,
        Some(high) if node.low() >= high => return Err("the fences are out of order"),
        Some(high) => common_prefix(node.low(), high),
    };
    if usize::from(header.prefix_len.get()) != prefix {
        return Err("the prefix is not that of the fences");
    }
    Ok(())
}

fn entry(node: &Node<'_>, i: usize, leaf: bool, claims: &mut Claims<'_>) -> Result<(), &'static str> {
    let slot = &node.slots[i];
    let (at, tail_len) = (usize::from(slot.offset.get()), usize::from(slot.tail_len.get()));
    let payload = at + rest_len(tail_len);
    let rest = node.bytes.get(payload..).ok_or("an entry lies outside the page")?;
    let size = if leaf {
        leaf::decode(rest, node.header.base.get()).ok_or("an entry is not whole")?.size
    } else {
        CHILD
    };
    if !claims.take(at, payload - at + size) {
        return Err("entries overlap or lie outside the heap");
    }
    if tail_len < 4 && slot.head.get() << (8 * tail_len) != 0 {
        return Err("the head of a short key is not zero-filled");
    }
    if !leaf {
        let (id, _) = node.child(i);
        if id == 0 || (i == 0 && tail_len != 0) {
            return Err("a child is impossible");
        }
    }
    Ok(())
}

/// Keys ascend and lie between the fences.
fn order(node: &Node<'_>) -> Result<(), &'static str> {
    for (i, pair) in node.slots.windows(2).enumerate() {
        let ascending = match pair[0].head.get().cmp(&pair[1].head.get()) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => node.tail_after_head(i) < node.tail_after_head(i + 1),
        };
        if !ascending {
            return Err("its keys are out of order");
        }
    }
    if node.count() > 0 {
        let first = usize::from(!node.is_leaf());
        let (mut lowest, mut highest) = (KeyBuffer::new(), KeyBuffer::new());
        node.set_key(first.min(node.count() - 1), &mut lowest);
        node.set_key(node.count() - 1, &mut highest);
        let below = first < node.count() && *lowest < *node.low();
        let above = node.high().is_some_and(|high| *highest >= *high);
        if below || above {
            return Err("a key lies outside the fences");
        }
    }
    Ok(())
}
