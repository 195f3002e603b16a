//! Which versions live snapshots pin, and what waits for them.
//!
//! An image that a newer one superseded, or a page that was freed, was current during `[since, until)`. It must stay
//! while a snapshot pins a version in that interval. It hangs on the newest such pin; when that pin goes, it moves to the
//! next older one in its interval or is released. So a long reader keeps exactly what it can still read, and nothing
//! that came and went after it.

use std::collections::BTreeMap;
use std::ops::Range;

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;
use smallvec::SmallVec;

/// What is kept for snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An older image of a page.
    Image,
    /// A freed page, its id and its newest image.
    Page,
}

/// Something kept for the snapshots that pin a version from `since` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) id: u64,
    pub(crate) since: Timestamp,
    pub(crate) what: What,
}

/// A small commit supersedes an image or two.
pub(crate) type HeldList = SmallVec<[Held; 4]>;

/// What the snapshots of one version keep, beyond what younger ones keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The version that they read.
    pub version: Timestamp,
    /// How many there are.
    pub snapshots: usize,
    /// Freed pages that can't be used again before they end.
    pub pages: u64,
    /// Older images of pages that stay in memory until then.
    pub images: u64,
}

#[derive(Default)]
struct Pin {
    count: usize,
    held: HeldList,
}

/// See the module's description.
pub(crate) struct Pins {
    /// The version published last.
    pub(crate) published: Timestamp,
    active: BTreeMap<Timestamp, Pin>,
}

impl Pins {
    pub(crate) fn new(published: Timestamp) -> Self {
        Pins { published, active: BTreeMap::new() }
    }

    /// Pins `version`. False where its images may be gone: it is neither published last nor pinned.
    #[must_use]
    pub(crate) fn pin(&mut self, version: Timestamp) -> bool {
        if version == self.published {
            self.active.entry(version).or_default().count += 1;
            return true;
        }
        let pin = self.active.get_mut(&version);
        let pinned = pin.is_some();
        if let Some(pin) = pin {
            pin.count += 1;
        }
        pinned
    }

    /// Hangs what stopped being current after `version`, which must be pinned, on that pin.
    pub(crate) fn hold(&mut self, version: Timestamp, held: &mut HeldList) {
        self.active.entry(version).or_default().held.append(held);
    }

    /// Whether one of these versions is pinned. Where none is, and the published one is not among them, none can be again.
    pub(crate) fn is_pinned(&self, versions: Range<Timestamp>) -> bool {
        self.active.range(versions).next().is_some()
    }

    /// Hangs what stopped being current at `until` on the newest pin that needs it. False where none does.
    #[must_use]
    pub(crate) fn hold_before(&mut self, until: Timestamp, held: Held) -> bool {
        let newest = self.active.range_mut(held.since..until).next_back();
        let needed = newest.is_some();
        if let Some((_, pin)) = newest {
            pin.held.push(held);
        }
        needed
    }

    /// Takes one pin of `version` back; what nobody needs now is appended to `released`.
    pub(crate) fn unpin(&mut self, version: Timestamp, released: &mut HeldList) {
        let Some(pin) = self.active.get_mut(&version) else { return };
        pin.count -= 1;
        if pin.count > 0 {
            return;
        }
        let Some(pin) = self.active.remove(&version) else { return };
        let mut below = self.active.range_mut(..version).next_back();
        for held in pin.held {
            match &mut below {
                Some((older, pin)) if **older >= held.since && !weakened("image-dropped-early") => {
                    pin.held.push(held);
                }
                _ => released.push(held),
            }
        }
    }

    /// Who pins what, oldest first.
    pub(crate) fn by_version(&self) -> Vec<Pinned> {
        let count = |pin: &Pin, what| pin.held.iter().filter(|held| held.what == what).count() as u64;
        let pinned = |(&version, pin): (&Timestamp, &Pin)| Pinned {
            version,
            snapshots: pin.count,
            pages: count(pin, What::Page),
            images: count(pin, What::Image),
        };
        self.active.iter().map(pinned).collect()
    }

    /// How many snapshots live.
    pub(crate) fn snapshots(&self) -> usize {
        self.active.values().map(|pin| pin.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn what_no_pin_can_read_is_released_even_while_an_older_reader_lives() {
        let mut pins = Pins::new(at(1));
        assert!(pins.pin(at(1)));
        pins.published = at(5);
        assert!(pins.pin(at(5)));
        let young = Held { id: 1, since: at(4), what: What::Image };
        let old = Held { id: 2, since: at(1), what: What::Page };
        pins.hold(at(5), &mut smallvec::smallvec![young, old]);
        let mut released = HeldList::new();
        pins.unpin(at(5), &mut released);
        assert_eq!(released[..], [young]);
        pins.unpin(at(1), &mut released);
        assert_eq!(released[..], [young, old]);
    }

    #[test]
    fn a_version_that_nobody_pinned_can_not_be_pinned_later() {
        let mut pins = Pins::new(at(1));
        pins.published = at(2);
        assert!(!pins.pin(at(1)));
        assert!(pins.pin(at(2)));
    }
}
