//! What the reads of a history tell: the order of each list's versions, and reads that no order explains.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Effects, Element, Key, Outcome, Transaction};
use super::{Anomaly, Kind};

/// Who wrote an element, and how that ended.
#[derive(Clone, Copy)]
struct Writer {
    transaction: usize,
    key: Key,
    /// Nobody may see it: its transaction, or this write of it, was rolled back.
    void: bool,
    /// Its transaction appended more to the same list.
    followed: bool,
}

/// The history in terms of who saw what.
pub(super) struct Observed {
    /// What each transaction did. Those that did not happen have done nothing.
    pub(super) effects: Vec<Effects>,
    /// Whether it happened, as far as anybody can tell.
    pub(super) happened: Vec<bool>,
    /// The longest list read of each key.
    pub(super) lists: BTreeMap<Key, Vec<Element>>,
    writers: BTreeMap<Element, Writer>,
}

impl Observed {
    pub(super) fn of(history: &[Transaction], complete: bool, anomalies: &mut Vec<Anomaly>) -> Self {
        let mut observed = Observed {
            effects: history.iter().map(Transaction::effects).collect(),
            happened: history.iter().map(|transaction| transaction.outcome == Outcome::Committed).collect(),
            lists: BTreeMap::new(),
            writers: BTreeMap::new(),
        };
        observed.note_writers(history, anomalies);
        observed.note_lists(history, anomalies);
        observed.settle_unknown(history);
        observed.check_reads(anomalies);
        observed.check_updates(anomalies);
        if complete {
            observed.check_complete(anomalies);
        }
        observed
    }

    /// The transaction that appended `element`.
    pub(super) fn writer(&self, element: Element) -> Option<usize> {
        self.writers.get(&element).map(|writer| writer.transaction)
    }

    fn note_writers(&mut self, history: &[Transaction], anomalies: &mut Vec<Anomaly>) {
        for (transaction, effects) in self.effects.iter().enumerate() {
            let aborted = history[transaction].outcome == Outcome::Aborted;
            for (&key, list) in &effects.appended {
                for (at, &element) in list.iter().enumerate() {
                    let followed = at + 1 < list.len();
                    self.writers.insert(element, Writer { transaction, key, void: aborted, followed });
                }
            }
            for &(key, element) in &effects.undone {
                self.writers.insert(element, Writer { transaction, key, void: true, followed: false });
            }
            if let Some(text) = &effects.contradiction {
                anomalies.push(Anomaly { kind: Kind::Internal, text: format!("T{transaction}, {text}") });
            }
        }
    }

    /// The longest list of each key; every other read of it must be its beginning.
    fn note_lists(&mut self, history: &[Transaction], anomalies: &mut Vec<Anomaly>) {
        let mut lists: BTreeMap<Key, Vec<Element>> = BTreeMap::new();
        for (_, effects) in self.readers(history) {
            for (&key, list) in &effects.read {
                let longest = lists.entry(key).or_default();
                if list.len() > longest.len() {
                    longest.clone_from(list);
                }
            }
        }
        for (transaction, effects) in self.readers(history) {
            for (key, list) in &effects.read {
                let longest = &lists[key];
                if !longest.starts_with(list) {
                    let text = format!("T{transaction}, list {key}: {list:?} and {longest:?}");
                    anomalies.push(Anomaly { kind: Kind::Incompatible, text });
                }
            }
        }
        self.lists = lists;
    }

    /// Those whose reads count: who was refused promises nothing about what it read.
    fn readers<'a>(&'a self, history: &'a [Transaction]) -> impl Iterator<Item = (usize, &'a Effects)> {
        let readers = self.effects.iter().enumerate();
        readers.filter(|&(at, _)| history[at].outcome != Outcome::Aborted)
    }

    /// A commit without an answer happened if anybody saw any of it.
    fn settle_unknown(&mut self, history: &[Transaction]) {
        let seen = self.lists.values().flatten().filter_map(|element| self.writers.get(element));
        for writer in seen {
            self.happened[writer.transaction] |= history[writer.transaction].outcome == Outcome::Unknown;
        }
        for (at, happened) in self.happened.iter().enumerate() {
            if !happened {
                self.effects[at] = Effects::default();
            }
        }
    }

    fn check_reads(&self, anomalies: &mut Vec<Anomaly>) {
        for (key, list) in &self.lists {
            for (at, element) in list.iter().enumerate() {
                let found = |kind, what: &str| Anomaly {
                    kind,
                    text: format!("list {key}: {element} {what} in {list:?}"),
                };
                match self.writers.get(element) {
                    None => anomalies.push(found(Kind::Garbage, "was written by nobody")),
                    Some(writer) if writer.key != *key => {
                        anomalies.push(found(Kind::Garbage, "was written to another list"));
                    }
                    Some(writer) if writer.void => anomalies.push(found(Kind::G1a, "was rolled back")),
                    Some(_) if list[..at].contains(element) => {
                        anomalies.push(found(Kind::Garbage, "is there twice"))
                    }
                    Some(_) => {}
                }
            }
        }
        for (reader, effects) in self.effects.iter().enumerate() {
            for (key, list) in &effects.read {
                let last = list.last().and_then(|element| self.writers.get(element));
                if last.is_some_and(|last| last.followed && last.transaction != reader) {
                    let text = format!("T{reader}, list {key}: {list:?} ends amid a transaction");
                    anomalies.push(Anomaly { kind: Kind::G1b, text });
                }
            }
        }
    }

    /// Of those who append to a list having read the same version of it, one at most may commit.
    fn check_updates(&self, anomalies: &mut Vec<Anomaly>) {
        let mut first: BTreeMap<(Key, usize), usize> = BTreeMap::new();
        for (transaction, effects) in self.effects.iter().enumerate() {
            for (&key, list) in effects.read.iter().filter(|(key, _)| effects.appended.contains_key(key)) {
                if let Some(other) = first.insert((key, list.len()), transaction) {
                    let text = format!("T{other} and T{transaction} appended to list {key} as of {list:?}");
                    anomalies.push(Anomaly { kind: Kind::LostUpdate, text });
                }
            }
        }
    }

    fn check_complete(&self, anomalies: &mut Vec<Anomaly>) {
        let seen: BTreeSet<Element> = self.lists.values().flatten().copied().collect();
        for (transaction, effects) in self.effects.iter().enumerate() {
            for (key, list) in &effects.appended {
                for element in list.iter().filter(|element| !seen.contains(element)) {
                    let text = format!("T{transaction}, list {key}: nobody ever saw {element}");
                    anomalies.push(Anomaly { kind: Kind::Lost, text });
                }
            }
        }
    }
}
