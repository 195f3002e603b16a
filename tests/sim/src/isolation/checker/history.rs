//! What clients did and saw.

use std::collections::BTreeMap;

/// The name of a list.
pub type Key = u64;
/// What is appended: used once in a history.
pub type Element = u32;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Append(Key, Element),
    /// The whole list was read; empty where there is none.
    Read(Key, Vec<Element>),
    Savepoint,
    /// Undoes what was appended since the innermost savepoint, which is over.
    RollbackTo,
    /// Forgets the innermost savepoint.
    Release,
}

/// How a transaction ended, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// Rolled back, or refused.
    Aborted,
    /// The commit was never answered: it may have happened.
    Unknown,
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Transactions of a session follow each other.
    pub session: u32,
    /// When its client began it and when its end was known, by one clock of all clients.
    pub began: u64,
    pub ended: u64,
    /// It read as of a moment of the past: nothing is promised about its place in time.
    pub past: bool,
    pub outcome: Outcome,
    pub ops: Vec<Op>,
}

/// What a transaction did as others see it.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// What it appended in the end.
    pub(super) appended: BTreeMap<Key, Vec<Element>>,
    /// What it appended and took back.
    pub(super) undone: Vec<(Key, Element)>,
    /// The lists that it read, without what it had appended itself.
    pub(super) read: BTreeMap<Key, Vec<Element>>,
    /// Where it contradicts itself.
    pub(super) contradiction: Option<String>,
}

impl Transaction {
    /// Goes through the steps as the transaction itself must see them.
    pub(super) fn effects(&self) -> Effects {
        let mut effects = Effects::default();
        let mut saved = Vec::new();
        for op in &self.ops {
            match op {
                Op::Append(key, element) => effects.appended.entry(*key).or_default().push(*element),
                Op::Read(key, list) => effects.note_read(*key, list),
                Op::Savepoint => saved.push(effects.appended.clone()),
                Op::RollbackTo => {
                    let before = std::mem::replace(&mut effects.appended, saved.pop().unwrap_or_default());
                    effects.note_undone(before);
                }
                Op::Release => {
                    saved.pop();
                }
            }
        }
        effects.appended.retain(|_, list| !list.is_empty());
        effects
    }
}

impl Effects {
    fn note_read(&mut self, key: Key, list: &[Element]) {
        let own = self.appended.get(&key).map_or(&[][..], Vec::as_slice);
        let Some(others) = list.strip_suffix(own) else {
            self.contradiction = Some(format!("list {key}: appended {own:?}, then read {list:?}"));
            return;
        };
        let before = self.read.entry(key).or_insert_with(|| others.to_vec());
        if before != others {
            self.contradiction = Some(format!("list {key}: read {before:?}, then {others:?}"));
        }
    }

    fn note_undone(&mut self, before: BTreeMap<Key, Vec<Element>>) {
        for (key, list) in before {
            let kept = self.appended.get(&key).map_or(0, Vec::len);
            self.undone.extend(list[kept..].iter().map(|&element| (key, element)));
        }
    }
}
