//! Who waits for commits is told of them, whenever they come.

use std::sync::Arc;

use dosql_base::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::run::Model;

// The engine's own, which it shows to nobody else.
#[path = "../../../src/feed/subscribers.rs"]
#[allow(dead_code, reason = "the engine uses more of it")]
mod subscribers;

use subscribers::Subscribers;

pub const MODELS: &[Model] = &[
    Model {
        name: "subscriber-threads",
        run: threads_that_wait_are_told,
        twins: &["subscriber-counted-late", "subscriber-told-unlocked", "subscriber-unfenced"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "subscriber-tasks",
        run: tasks_that_were_noted_are_woken,
        twins: &["subscriber-noted-late"],
        most_preemptions: usize::MAX,
    },
];

/// A commit count, as readers see it.
struct Commits {
    subscribers: Subscribers,
    count: AtomicU32,
}

impl Commits {
    fn new() -> Arc<Self> {
        Arc::new(Commits { subscribers: Subscribers::default(), count: AtomicU32::new(0) })
    }

    fn commit(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.subscribers.tell();
    }

    fn are_there(&self, count: u32) -> bool {
        self.count.load(Ordering::Acquire) >= count
    }
}

/// A subscriber that was not told would wait for ever, which loom sees.
fn threads_that_wait_are_told() {
    let commits = Commits::new();
    let waiter = {
        let commits = Arc::clone(&commits);
        thread::spawn(move || {
            for count in 1..=2 {
                while !commits.are_there(count) {
                    commits.subscribers.wait(|| commits.are_there(count), None);
                }
            }
        })
    };
    commits.commit();
    commits.commit();
    waiter.join().expect("a thread of the model ends");
}

/// Counts how often it was woken.
struct Woken(std::sync::atomic::AtomicU32);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Either the task saw the commit when it was noted, or the commit wakes it.
fn tasks_that_were_noted_are_woken() {
    let commits = Commits::new();
    let woken = Arc::new(Woken(std::sync::atomic::AtomicU32::new(0)));
    let task = {
        let (commits, woken) = (Arc::clone(&commits), Arc::clone(&woken));
        thread::spawn(move || commits.subscribers.note(&woken.into(), || commits.are_there(1)))
    };
    commits.commit();
    let seen = task.join().expect("a thread of the model ends");
    let times = woken.0.load(std::sync::atomic::Ordering::SeqCst);
    assert!(seen || times > 0, "it neither saw the commit nor was woken");
}
