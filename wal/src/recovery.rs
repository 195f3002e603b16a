//! Finds out how far the log goes, and hands over its records. Reads only.
//!
//! From the checkpoint's position on, a record is accepted while it stands where it was written, its checksums hold, it
//! chains to the one before and its generation does not fall. The first that fails is where the log ends, one way or
//! the other:
//!
//! | at the first bad record, starting at `p` | found after it | verdict |
//! |---|---|---|
//! | never written, or torn | nothing, or headers that claim durability up to `p` at most | the end; what follows was never synced, and is dropped |
//! | anything | a header that claims durability beyond `p` | `Corrupt`: what stood at `p` had been synced |
//! | begun, and the room of a store that keeps its room ends within it | - | `Corrupt`: a file of the log is missing |
//! | whole, of a kind from the future | - | `Unsupported` |
//!
//! A header found after `p` proves what it says by its own checksum and position, since it holds its predecessor's
//! checksum as a field. Bytes of the past can't deceive: in recycled space the position is another; a tail that an
//! earlier recovery dropped claims at most what was durable then, which lies at or before `p`, and its generation is
//! lower than that of anything written since, because every opening takes a number above all that it saw.
//!
//! The one loss that can't be told from a torn tail is damage to the last records synced, before a later record says
//! that they were. [`crate::Log::seal`] closes that gap at a clean shutdown.

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};

use crate::record::{Header, KIND_COMMIT, KIND_MARK, RECORD_HEADER_BYTES, Record};
use crate::window::Window;
use crate::{LogPosition, LogStore};

/// What recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Commits handed over.
    pub commits: u64,
    /// Where the log ends; the next record begins there.
    pub end: LogPosition,
    /// The checksum that the next record chains to.
    pub chain: u32,
    /// The Timestamp of the last commit handed over, if any.
    pub last: Option<Timestamp>,
    /// Whether remains of records that were never synced were found after the end, and dropped.
    pub torn_tail: bool,
    /// Whether neither a record nor the device says that the last commits are durable. An earlier sync of them may have failed, and after that a system
    /// may show bytes that it has given up on writing, and sync them no more. Writing them again where they stand would put at risk
    /// what may be durable and acknowledged: whoever relies on these commits makes durable elsewhere what they say.
    pub unproven: bool,
    /// Everything before this is known durable.
    pub(crate) durable: LogPosition,
    /// The highest generation known.
    pub(crate) generation: u32,
}

/// Reads the log from `from`, whose first record chains to `chain` and whose records are of `generation` or later, and shows each
/// commit to `visit`.
pub(crate) fn recover(
    store: &dyn LogStore,
    from: LogPosition,
    chain: u32,
    generation: u32,
    visit: &mut dyn FnMut(&Record<'_>) -> Result<()>,
) -> Result<Recovered> {
    let mut window = Window::new(store, from, LogPosition::new(u64::MAX));
    let mut found = Recovered {
        commits: 0,
        end: from,
        chain,
        last: None,
        torn_tail: false,
        unproven: false,
        durable: from,
        generation,
    };
    let mut seal = None;
    while let Some(sound) = window.record(found.end.get())? {
        let header = sound.header;
        let follows = header.previous.get() == found.chain || weakened("record-chain-unchecked");
        if !follows || header.generation.get() < found.generation {
            break;
        }
        let record = Record::new(&header, sound.end, sound.body);
        check_kind(header.kind, record.start)?;
        if header.kind == KIND_COMMIT {
            visit(&record)?;
            found.commits += 1;
            found.last = Some(record.timestamp);
        }
        found.generation = header.generation.get();
        found.durable = found.durable.max(LogPosition::new(header.durable.get()));
        let before = (found.end, found.chain);
        (found.end, found.chain) = (record.end, record.chain);
        found.unproven = header.kind != KIND_MARK || header.durable != header.position;
        seal = (!found.unproven).then_some(before);
    }
    if store.caps().keeps_room {
        check_room(&mut window, found.end)?;
    }
    examine_tail(&mut window, &mut found)?;
    // Nobody knows whether the last mark itself is durable, so nothing may follow it: what comes next takes its place.
    if let Some((end, chain)) = seal {
        (found.end, found.chain) = (end, chain);
    }
    Ok(found)
}

/// Refuses a log whose room ends within the record that begins at its end. There was room for all of it before its first byte
/// was written, so part of the log is missing.
fn check_room(window: &mut Window<'_>, end: LogPosition) -> Result<()> {
    const POSITION: std::ops::Range<usize> = 8..16;
    let at = end.get();
    let begun = window.some(at, RECORD_HEADER_BYTES)?;
    let len = match Header::parse(begun, at) {
        Some(header) => RECORD_HEADER_BYTES.saturating_add(header.length.get() as usize),
        // The header may be cut too; it is one if it says that it stands where it stands.
        None if begun.len() < RECORD_HEADER_BYTES
            && at > 0
            && begun.get(POSITION) == Some(&at.to_le_bytes()) =>
        {
            RECORD_HEADER_BYTES
        }
        None => return Ok(()),
    };
    if window.get(at, len)?.is_some() {
        return Ok(());
    }
    Err(Error::corrupt(
        "the log ends within a record, though there was room for all of it: a file of the log is missing; restore it",
        format!("log position {at}"),
    ))
}

/// Looks at everything after the end for a proof that the end is not the end.
fn examine_tail(window: &mut Window<'_>, found: &mut Recovered) -> Result<()> {
    let mut at = found.end.get();
    while let Some((place, header)) = window.find_header(at)? {
        let lost = header.durable.get() > found.end.get() && !weakened("durable-claim-ignored");
        if lost || weakened("torn-tail-refused") {
            return Err(Error::corrupt(
                format!(
                    "a log record is damaged, though the record at {place} knows the log durable up to {}; restore \
                     from a backup",
                    header.durable.get()
                ),
                format!("log position {}", found.end),
            ));
        }
        found.torn_tail = true;
        found.generation = found.generation.max(header.generation.get());
        at = place + 1;
    }
    Ok(())
}

/// Refuses a record of a kind that this version does not know.
pub(crate) fn check_kind(kind: u8, place: LogPosition) -> Result<()> {
    match kind {
        KIND_COMMIT | KIND_MARK => Ok(()),
        _ => Err(Error::unsupported(format!(
            "the log holds a record of kind {kind}, which this version does not know; open it with a newer one"
        ))
        .at(format!("log position {place}"))),
    }
}
