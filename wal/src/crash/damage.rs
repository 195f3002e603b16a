//! What a crash makes of changes that were not synced.

use dosql_base::{Entropy, SeededEntropy};

/// The unit that a disk writes whole or not at all, in bytes; where it does not even do that, a mode says so.
pub(super) const SECTOR: usize = 512;

/// What a crash leaves of that which was not synced: writes sector by sector, lengths of files and names each apart. "Changes"
/// are all of these in the order in which they were made, over all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surviving {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// A subset that the seed picks, sector by sector.
    Some(u64),
    /// The first changes, as many as the seed picks, and of the next a subset of its sectors.
    Prefix(u64),
    /// The last change only.
    Last,
    /// All changes but the first.
    AllButFirst,
    /// As `Some`, and a sector may hold new bytes up to a place and old ones from there on, or the other way round.
    Torn(u64),
    /// Each sector holds, within what was being written, the old, the new, torn, or zeros, or garbage that was never written.
    Garbage(u64),
}

/// What becomes of a stretch of bytes within one sector.
pub(super) enum Fate {
    Old,
    New,
    /// New up to this offset, old after.
    Head(usize),
    /// Old up to this offset, new after.
    Tail(usize),
    Zeros,
    Garbage,
}

/// Decides what survives.
pub(super) struct Dice {
    surviving: Surviving,
    entropy: SeededEntropy,
    /// Of 256: images with few, half and most of the sectors are all of interest.
    chance: u8,
    /// Where `Prefix` ends.
    cut: u64,
    first: u64,
    last: u64,
}

impl Dice {
    /// For changes that bear the numbers `first` to `last`.
    pub(super) fn new(surviving: Surviving, first: u64, last: u64) -> Self {
        let seed = match surviving {
            Surviving::Some(seed)
            | Surviving::Prefix(seed)
            | Surviving::Torn(seed)
            | Surviving::Garbage(seed) => seed,
            _ => 0,
        };
        let mut dice = Dice { surviving, entropy: SeededEntropy::new(seed), chance: 0, cut: 0, first, last };
        dice.chance = [16, 128, 240][dice.below(3)];
        dice.cut = first + dice.below((last + 1 - first.min(last)) as usize) as u64;
        dice
    }

    fn byte(&self) -> u8 {
        let mut byte = [0];
        self.entropy.fill(&mut byte);
        byte[0]
    }

    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % end.max(1) as u64) as usize
    }

    fn chance(&self) -> bool {
        self.byte() < self.chance
    }

    /// Whether a change of a length or of a name survives.
    pub(super) fn keeps(&self, change: u64) -> bool {
        match self.surviving {
            Surviving::Nothing => false,
            Surviving::Everything => true,
            Surviving::Some(_) | Surviving::Torn(_) | Surviving::Garbage(_) => self.chance(),
            Surviving::Prefix(_) => change < self.cut || (change == self.cut && self.chance()),
            Surviving::Last => change == self.last,
            Surviving::AllButFirst => change != self.first,
        }
    }

    /// What becomes of `len` bytes in one sector, which a write of this number covers.
    pub(super) fn fate(&self, change: u64, len: usize) -> Fate {
        let torn =
            || if self.byte() & 1 == 0 { Fate::Head(self.below(len)) } else { Fate::Tail(self.below(len)) };
        match self.surviving {
            Surviving::Garbage(_) => match self.byte() % 5 {
                0 => Fate::Old,
                1 => Fate::New,
                2 => torn(),
                3 => Fate::Zeros,
                _ => Fate::Garbage,
            },
            Surviving::Torn(_) if self.byte() & 1 == 0 => torn(),
            _ if self.keeps(change) => Fate::New,
            _ => Fate::Old,
        }
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        self.entropy.fill(bytes);
    }
}

/// The stretches of a write of `len` bytes at `offset`, sector by sector.
pub(super) fn sectors(offset: usize, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        at = ((offset + at) / SECTOR * SECTOR + SECTOR - offset).min(len);
        (start < len).then_some(start..at)
    })
}
