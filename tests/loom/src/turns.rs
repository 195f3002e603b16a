//! The writer's turn: held by one at a time, handed on to all who wait.

use std::sync::Arc;

use dosql_base::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::run::Model;

// The engine's own, which it shows to nobody else.
#[path = "../../../src/turn.rs"]
#[allow(dead_code, reason = "the engine uses more of it")]
mod turn;

use turn::Turn;

pub const MODELS: &[Model] = &[
    Model {
        name: "turn",
        run: writers_take_turns,
        twins: &["turn-left-free", "turn-handed-on-silently", "turn-granted-relaxed"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "brief-turn",
        run: optimists_and_writers_take_turns,
        twins: &["turn-left-free"],
        most_preemptions: usize::MAX,
    },
];

/// What only the holder of the turn may touch: it reads, then writes, and another in between would be forgotten.
struct Shared {
    turn: Arc<Turn>,
    count: AtomicU32,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared { turn: Arc::new(Turn::default()), count: AtomicU32::new(0) })
    }

    fn count_one(&self) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
    }

    fn write(&self) {
        let held = self.turn.take(None);
        self.count_one();
        drop(held);
    }

    fn write_briefly(&self) {
        let held = self.turn.take_briefly(None);
        self.count_one();
        drop(held);
    }

    fn assert_count(&self, expected: u32) {
        let held = self.turn.try_take();
        assert!(held.is_some(), "the turn was not given back");
        assert_eq!(self.count.load(Ordering::Relaxed), expected, "two had the turn at once");
    }
}

fn both(first: fn(&Shared), second: fn(&Shared), third: fn(&Shared)) {
    let shared = Shared::new();
    let threads = [first, second].map(|work| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || work(&shared))
    });
    third(&shared);
    threads.into_iter().for_each(|thread| thread.join().expect("a thread of the model ends"));
    shared.assert_count(3);
}

fn writers_take_turns() {
    both(Shared::write, Shared::write, Shared::write);
}

fn optimists_and_writers_take_turns() {
    both(Shared::write_briefly, Shared::write, Shared::write_briefly);
}
