//! Judges one damaged copy after the other, on two threads, and counts: right, refused, wrong, panics, hangs, memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use peak_alloc::PeakAlloc;

use super::damage::Damage;
use crate::golden::{Files, Verdict};

/// Counts every allocation of the process.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a case may take.
const MOST_TIME: Duration = Duration::from_secs(1);
const MOST_MEMORY: usize = 64 << 20;
/// After this long a case is not waited for.
const PATIENCE_MILLIS: u64 = 60_000;
const THREADS: usize = 2;
/// How many violations are told in full.
const TOLD: usize = 20;

/// Something whose files can be damaged, and that can tell what became of it.
pub trait Subject: Sync {
    fn name(&self) -> &str;
    fn files(&self) -> &Files;
    /// The files of some time before.
    fn before(&self) -> &Files;
    /// The size of a page in a file.
    fn unit(&self, file: &str) -> usize;
    /// Whether a file is an object of a segment store.
    fn is_object(&self, _file: &str) -> bool {
        false
    }
    /// Whether this damage is tried.
    fn suffers(&self, _damage: &Damage) -> bool {
        true
    }
    /// Reads everything in `files`, which suffered `damage`.
    fn judge(&self, files: &Files, damage: &Damage) -> Verdict;
}

/// What a sweep counted.
#[derive(Default)]
pub struct Tally {
    pub cases: u64,
    pub right: u64,
    pub refused: u64,
    pub wrong: u64,
    pub panics: u64,
    pub hangs: u64,
    pub greedy: u64,
    pub slowest: Duration,
    /// Bytes in use at the worst moment, beyond those at the start.
    pub memory: usize,
    pub took: Duration,
    /// The first of what must not be.
    pub told: Vec<String>,
}

impl Tally {
    pub fn violations(&self) -> u64 {
        self.wrong + self.panics + self.hangs + self.greedy
    }

    pub fn add(&mut self, other: &Tally) {
        self.cases += other.cases;
        self.right += other.right;
        self.refused += other.refused;
        self.wrong += other.wrong;
        self.panics += other.panics;
        self.hangs += other.hangs;
        self.greedy += other.greedy;
        self.slowest = self.slowest.max(other.slowest);
        self.memory = self.memory.max(other.memory);
        self.took += other.took;
    }

    fn tell(&mut self, violation: String) {
        if self.told.len() < TOLD {
            self.told.push(violation);
        }
    }
}

/// Judges all of `damages` to `subject`.
pub fn sweep(subject: &dyn Subject, damages: &[Damage]) -> Tally {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let total = Mutex::new(Tally::default());
    let watch: [Watched; THREADS] = Default::default();
    MEMORY.reset_peak_usage();
    let memory = MEMORY.current_usage();
    std::thread::scope(|scope| {
        for watched in &watch {
            let (next, total) = (&next, &total);
            scope.spawn(move || {
                let mut tally = Tally::default();
                while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    watched.millis.store(start.elapsed().as_millis() as u64, Ordering::Relaxed);
                    judge(subject, damage, memory, &mut tally);
                }
                watched.done.store(true, Ordering::Relaxed);
                let mut total = total.lock();
                tally.told.iter().for_each(|told| total.tell(told.clone()));
                total.add(&tally);
            });
        }
        guard(&watch, start, subject.name());
    });
    std::panic::set_hook(quiet);
    let mut total = total.into_inner();
    total.took = start.elapsed();
    total.memory = MEMORY.peak_usage().saturating_sub(memory).max(total.memory);
    total
}

/// When a thread began its case.
#[derive(Default)]
struct Watched {
    millis: AtomicU64,
    done: AtomicBool,
}

/// Ends the process where a case never ends.
fn guard(watch: &[Watched], start: Instant, name: &str) {
    let working = |watched: &&Watched| !watched.done.load(Ordering::Relaxed);
    while watch.iter().any(|watched| working(&watched)) {
        std::thread::sleep(Duration::from_millis(20));
        let now = start.elapsed().as_millis() as u64;
        for watched in watch.iter().filter(working) {
            if now.saturating_sub(watched.millis.load(Ordering::Relaxed)) > PATIENCE_MILLIS {
                eprintln!("{name}: a case has not ended in {PATIENCE_MILLIS} ms");
                std::process::exit(1);
            }
        }
    }
}

fn judge(subject: &dyn Subject, damage: &Damage, memory: usize, tally: &mut Tally) {
    let files = damage.apply(subject.files(), subject.before());
    let place = || format!("{}: {}: {damage}", subject.name(), subject.files()[damage.file].0);
    let started = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| subject.judge(&files, damage)));
    let mut took = started.elapsed();
    if took > MOST_TIME {
        // The machine may have been busy with something else.
        let again = Instant::now();
        let _ = catch_unwind(AssertUnwindSafe(|| subject.judge(&files, damage)));
        took = took.min(again.elapsed());
    }
    tally.cases += 1;
    tally.slowest = tally.slowest.max(took);
    match verdict {
        Ok(Verdict::Right) => tally.right += 1,
        Ok(Verdict::Refused) => tally.refused += 1,
        Ok(Verdict::Wrong(what)) => {
            tally.wrong += 1;
            tally.tell(format!("{}: {what}", place()));
        }
        Err(panic) => {
            tally.panics += 1;
            tally.tell(format!("{}: panic: {}", place(), message(&*panic)));
        }
    }
    if took > MOST_TIME {
        tally.hangs += 1;
        tally.tell(format!("{}: took {took:?}", place()));
    }
    let used = MEMORY.peak_usage().saturating_sub(memory);
    if used > MOST_MEMORY {
        // Of the two cases under way it is one or the other.
        tally.greedy += 1;
        tally.memory = tally.memory.max(used);
        tally.tell(format!("{}: about here {used} bytes of memory were in use", place()));
        MEMORY.reset_peak_usage();
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
