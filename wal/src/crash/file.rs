//! One file of the simulated disk: what reads show, what is durable, and the changes in between.

use super::damage::{Dice, Fate, sectors};
use super::image::Image;

/// A change that was not synced.
#[derive(Clone)]
pub(super) enum FileChange {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// See above.
#[derive(Clone, Default)]
pub(super) struct FileState {
    pub(super) bytes: Image,
    pub(super) durable: Image,
    /// In the order in which they were made, each with its number.
    pub(super) pending: Vec<(u64, FileChange)>,
}

impl FileState {
    /// A file that holds `bytes`, all durable.
    pub(super) fn holding(bytes: Image) -> Self {
        FileState { durable: bytes.clone(), bytes, pending: Vec::new() }
    }

    /// Writes, and grows the file where it has to.
    pub(super) fn write(&mut self, change: &mut u64, at: usize, bytes: &[u8]) {
        let grows = at + bytes.len() > self.bytes.len();
        self.bytes.write(at, bytes);
        self.change(change, FileChange::Write { at, bytes: bytes.to_vec() });
        if grows {
            self.change(change, FileChange::Length(at + bytes.len()));
        }
    }

    pub(super) fn set_len(&mut self, change: &mut u64, len: usize) {
        self.bytes.resize(len);
        self.change(change, FileChange::Length(len));
    }

    fn change(&mut self, number: &mut u64, change: FileChange) {
        self.pending.push((*number, change));
        *number += 1;
    }

    /// What was written since the last sync reaches the disk; what was given up before does not.
    pub(super) fn sync(&mut self) {
        for (_, change) in std::mem::take(&mut self.pending) {
            match change {
                FileChange::Write { at, bytes } => self.durable.write(at, &bytes),
                FileChange::Length(len) => self.durable.resize(len),
            }
        }
        self.durable.resize(self.bytes.len());
    }

    /// The bytes that wait for a sync are given up, but for the sectors that `dice` keeps. Lengths still wait.
    pub(super) fn give_up(&mut self, dice: &Dice) {
        let (writes, lengths): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|(_, change)| matches!(change, FileChange::Write { .. }));
        self.pending = lengths;
        let len = self.durable.len();
        for (number, change) in &writes {
            damaged(&mut self.durable, *number, change, dice);
        }
        // What lies beyond the durable length is not to be seen.
        self.durable.resize(len);
    }

    /// The file that a crash leaves.
    pub(super) fn survivor(&self, dice: &Dice) -> FileState {
        let mut bytes = self.durable.clone();
        let mut len = bytes.len();
        for (number, change) in &self.pending {
            match change {
                FileChange::Length(wanted) if dice.keeps(*number) => {
                    if *wanted < len {
                        bytes.resize(*wanted);
                    }
                    len = *wanted;
                }
                FileChange::Length(_) => {}
                FileChange::Write { .. } => damaged(&mut bytes, *number, change, dice),
            }
        }
        // Bytes without the length are out of sight; a length without the bytes shows zeros.
        bytes.resize(len);
        FileState::holding(bytes)
    }
}

/// Does to `bytes` what is left of a write.
fn damaged(bytes: &mut Image, number: u64, change: &FileChange, dice: &Dice) {
    let FileChange::Write { at, bytes: written } = change else { return };
    for sector in sectors(*at, written.len()) {
        let start = *at + sector.start;
        let new = &written[sector];
        match dice.fate(number, new.len()) {
            Fate::Old => {}
            Fate::New => bytes.write(start, new),
            Fate::Head(len) => bytes.write(start, &new[..len]),
            Fate::Tail(from) => bytes.write(start + from, &new[from..]),
            Fate::Zeros => bytes.write(start, &vec![0; new.len()]),
            Fate::Garbage => {
                let mut garbage = vec![0; new.len()];
                dice.fill(&mut garbage);
                bytes.write(start, &garbage);
            }
        }
    }
}
