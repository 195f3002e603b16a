//! What can happen to stored bytes, one thing at a time.
//!
//! ```text
//! flip     one byte, under a pattern            stale    a page as the checkpoint before had it
//! zero     a sector of 512 bytes                extend   bytes after the end
//! cut      the file ends here                   missing  no such file
//! swap     two pages, or two sectors of a log   old      the whole file as the checkpoint before had it
//! exchange two objects, each under the other's name
//! ```

use std::fmt;
use std::ops::Range;

use crate::golden::Files;

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR: usize = 512;

/// How a byte is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    Xor(u8),
    Zero,
}

/// The patterns, the most telling first.
pub const PATTERNS: [Pattern; 4] =
    [Pattern::Xor(0xFF), Pattern::Xor(0x01), Pattern::Xor(0x80), Pattern::Zero];

impl Pattern {
    fn apply(self, byte: u8) -> u8 {
        match self {
            Pattern::Xor(bits) => byte ^ bits,
            Pattern::Zero => 0,
        }
    }
}

/// Damage to one file, by its index.
#[derive(Clone, Copy)]
pub struct Damage {
    pub file: usize,
    pub what: What,
}

/// Places and lengths are in bytes, pages in units of the file.
#[derive(Clone, Copy)]
pub enum What {
    Flip { at: usize, pattern: Pattern },
    Zero { at: usize },
    Cut { len: usize },
    Swap { first: usize, second: usize, unit: usize },
    Stale { page: usize, unit: usize },
    Extend { by: usize, byte: u8 },
    Missing,
    Old,
    Exchange { other: usize },
}

/// How many patterns are tried on a byte, and on which bytes and lengths.
#[derive(Clone, Copy)]
pub struct Density {
    pub patterns: usize,
    pub every: usize,
}

/// All the damage that changes anything. `unit` is the size of a page of a file; `object` tells which are objects of a segment store.
pub fn all(
    files: &Files,
    before: &Files,
    density: Density,
    unit: impl Fn(&str) -> usize,
    object: impl Fn(&str) -> bool,
) -> Vec<Damage> {
    let mut all = Vec::new();
    for (file, (name, bytes)) in files.iter().enumerate() {
        let mut add = |what| all.push(Damage { file, what });
        for (at, &byte) in bytes.iter().enumerate().step_by(density.every) {
            let patterns =
                PATTERNS.iter().take(density.patterns).filter(|pattern| pattern.apply(byte) != byte);
            patterns.for_each(|&pattern| add(What::Flip { at, pattern }));
        }
        (0..bytes.len()).step_by(density.every).for_each(|len| add(What::Cut { len }));
        let sectors = (0..bytes.len()).step_by(SECTOR);
        sectors
            .filter(|&at| bytes[sector(at, bytes)].iter().any(|&b| b != 0))
            .for_each(|at| add(What::Zero { at }));
        let unit = unit(name);
        let pages = bytes.len() / unit;
        for first in 0..pages {
            let differs = |second: &usize| bytes[page(first, unit)] != bytes[page(*second, unit)];
            (first + 1..pages).filter(differs).for_each(|second| add(What::Swap { first, second, unit }));
        }
        if let Some((_, old)) = before.iter().find(|(old, _)| old == name) {
            let stale =
                (0..pages.min(old.len() / unit)).filter(|&p| bytes[page(p, unit)] != old[page(p, unit)]);
            stale.for_each(|page| add(What::Stale { page, unit }));
            if old != bytes {
                add(What::Old);
            }
        }
        for by in [1, SECTOR, unit, 3 * unit + 7] {
            [0, 0xFF].into_iter().for_each(|byte| add(What::Extend { by, byte }));
        }
        add(What::Missing);
        let others =
            files.iter().enumerate().skip(file + 1).filter(|(_, (other, _))| object(name) && object(other));
        others.for_each(|(other, _)| add(What::Exchange { other }));
    }
    all
}

fn page(number: usize, unit: usize) -> Range<usize> {
    number * unit..(number + 1) * unit
}

fn sector(at: usize, bytes: &[u8]) -> Range<usize> {
    at..(at + SECTOR).min(bytes.len())
}

impl Damage {
    /// The files after it.
    pub fn apply(&self, files: &Files, before: &Files) -> Files {
        let mut files = files.clone();
        if let What::Exchange { other } = self.what {
            let bytes = std::mem::take(&mut files[self.file].1);
            files[self.file].1 = std::mem::replace(&mut files[other].1, bytes);
            return files;
        }
        let name = files[self.file].0.clone();
        let bytes = &mut files[self.file].1;
        let old = || before.iter().find(|(old, _)| *old == name).map_or(&[][..], |(_, bytes)| bytes);
        match self.what {
            What::Flip { at, pattern } => bytes[at] = pattern.apply(bytes[at]),
            What::Zero { at } => {
                let sector = sector(at, bytes);
                bytes[sector].fill(0);
            }
            What::Cut { len } => bytes.truncate(len),
            What::Swap { first, second, unit } => {
                let kept = bytes[page(first, unit)].to_vec();
                bytes.copy_within(page(second, unit), first * unit);
                bytes[page(second, unit)].copy_from_slice(&kept);
            }
            What::Stale { page: number, unit } => {
                bytes[page(number, unit)].copy_from_slice(&old()[page(number, unit)]);
            }
            What::Extend { by, byte } => bytes.resize(bytes.len() + by, byte),
            What::Old => *bytes = old().to_vec(),
            What::Missing => {
                files.remove(self.file);
            }
            What::Exchange { .. } => {}
        }
        files
    }

    /// The bytes of the file that are not what they were. A file that is missing or old is none of a torn write's doing.
    pub fn bytes(&self) -> Vec<Range<usize>> {
        match self.what {
            What::Flip { at, .. } => vec![at..at + 1],
            What::Zero { at } => vec![at..at + SECTOR],
            What::Cut { len } => vec![len..usize::MAX],
            What::Swap { first, second, unit } => vec![page(first, unit), page(second, unit)],
            What::Stale { page: number, unit } => vec![page(number, unit)],
            What::Extend { .. } | What::Missing | What::Old | What::Exchange { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Flip { at, pattern: Pattern::Xor(bits) } => write!(f, "byte {at} ^ {bits:#04x}"),
            What::Flip { at, pattern: Pattern::Zero } => write!(f, "byte {at} = 0"),
            What::Zero { at } => write!(f, "sector at {at} zeroed"),
            What::Cut { len } => write!(f, "cut to {len}"),
            What::Swap { first, second, unit } => write!(f, "pages {first} and {second} of {unit} swapped"),
            What::Stale { page, unit } => write!(f, "page {page} of {unit} stale"),
            What::Extend { by, byte } => write!(f, "{by} bytes {byte:#04x} more"),
            What::Missing => write!(f, "missing"),
            What::Old => write!(f, "the whole file stale"),
            What::Exchange { other } => write!(f, "exchanged with file {other}"),
        }
    }
}
