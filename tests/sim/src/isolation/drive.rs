//! Drives clients: interleaved in one thread, from a seed and the same in every run, or in threads of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dosql::{Database, Error, ManualClock, Timestamp};
use fastrand::Rng;

use super::lists::{Layout, client};
use super::session::{Mix, Session, Shared, Stepped};

/// Who does what.
#[derive(Clone, Copy, Debug)]
pub struct Crew {
    pub layout: Layout,
    pub mix: Mix,
    pub sessions: u32,
    /// Each in a thread of its own; else interleaved.
    pub threads: bool,
}

/// What all clients of `db` share; their clock and their elements go on from those given.
pub fn shared(db: &Database, keeps_history: bool, clock: u64, elements: u32) -> Arc<Shared> {
    Arc::new(Shared {
        db: db.clone(),
        clock: AtomicU64::new(clock),
        elements: AtomicU32::new(elements),
        past_from: keeps_history.then(|| db.last_commit()),
    })
}

/// Lets a crew do about so many transactions. The error is the first that no client should ever see, or that the database has
/// stopped; the records of all are there in either case.
pub fn drive(
    crew: Crew,
    shared: &Arc<Shared>,
    transactions: usize,
    seed: u64,
    time: Option<&ManualClock>,
) -> (Vec<Session>, Result<(), Error>) {
    let patience = if crew.threads { None } else { Some(Duration::ZERO) };
    let mut sessions = Vec::new();
    for number in 0..crew.sessions {
        match client(&shared.db, crew.layout, patience) {
            Ok(lists) => {
                let seed = seed ^ (u64::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                sessions.push(Session::new(number, seed, crew.mix, lists, shared));
            }
            Err(error) => return (sessions, Err(error)),
        }
    }
    let result = match crew.threads {
        true => in_threads(&mut sessions, shared, transactions),
        false => interleaved(&mut sessions, shared, transactions, seed, time),
    };
    (sessions, result)
}

fn interleaved(
    sessions: &mut [Session],
    shared: &Shared,
    transactions: usize,
    seed: u64,
    time: Option<&ManualClock>,
) -> Result<(), Error> {
    let mut rng = Rng::with_seed(seed);
    let mut ended = 0;
    while ended < transactions {
        let at = rng.usize(..sessions.len());
        ended += usize::from(sessions[at].step()? == Stepped::Ended);
        if rng.u16(..400) == 0 {
            housekeeping(shared, &mut rng)?;
        }
        if let Some(time) = time {
            pass(time, &mut rng);
        }
    }
    // Those that hold the turn end before those that wait for it.
    while sessions.iter().any(|session| !session.is_idle()) {
        for session in sessions.iter_mut().filter(|session| !session.is_idle()) {
            session.hurry();
            session.step()?;
        }
    }
    Ok(())
}

/// Time passes unevenly, stands still, and steps back at times.
fn pass(time: &ManualClock, rng: &mut Rng) {
    match rng.u16(..500) {
        0 => {
            let now = dosql::Clock::now(time).as_micros();
            time.set(Timestamp::from_micros(now - rng.u64(..1_000.min(now))));
        }
        1 => time.advance(rng.u64(..100_000)),
        2..250 => {}
        _ => time.advance(rng.u64(..20)),
    }
}

fn housekeeping(shared: &Shared, rng: &mut Rng) -> Result<(), Error> {
    match rng.u8(..3) {
        0 => shared.db.checkpoint(),
        1 => shared.db.maintain(16usize << 10).map(|_| ()),
        _ => shared.db.maintain(usize::MAX).map(|_| ()),
    }
}

fn in_threads(sessions: &mut [Session], shared: &Shared, transactions: usize) -> Result<(), Error> {
    let (ended, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first_error = parking_lot::Mutex::new(None);
    let fail = |error: Error| {
        first_error.lock().get_or_insert(error);
        stop.store(true, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        for session in sessions.iter_mut() {
            let (ended, stop, fail) = (&ended, &stop, &fail);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) || !session.is_idle() {
                    if stop.load(Ordering::Relaxed) {
                        session.hurry();
                    }
                    match session.step() {
                        Ok(Stepped::Ended) if ended.fetch_add(1, Ordering::Relaxed) + 1 >= transactions => {
                            stop.store(true, Ordering::SeqCst);
                        }
                        Ok(Stepped::On) => std::thread::yield_now(),
                        Ok(_) => {}
                        Err(error) => return fail(error),
                    }
                }
            });
        }
        let mut rng = Rng::with_seed(transactions as u64);
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(rng.u64(1..10)));
            if let Err(error) = housekeeping(shared, &mut rng) {
                fail(error);
            }
        }
    });
    match first_error.into_inner() {
        None => Ok(()),
        Some(error) => Err(error),
    }
}
