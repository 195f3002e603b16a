//! loom's locks with the methods of parking_lot's. Time does not pass in a model: who waits for so long waits for ever.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use loom::sync as inner;

const POISONED: &str = "a thread of a model panicked";
const HELD: &str = "a guard is without its lock only while it waits";

/// See `parking_lot::Mutex`.
#[derive(Debug, Default)]
pub struct Mutex<T>(inner::Mutex<T>);

/// See `parking_lot::MutexGuard`.
#[derive(Debug)]
pub struct MutexGuard<'a, T>(Option<inner::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        Mutex(inner::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect(POISONED)))
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }

    /// Waits for the lock.
    pub fn try_lock_for(&self, _patience: Duration) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }

    /// What it guarded.
    pub fn into_inner(self) -> T {
        self.0.into_inner().expect(POISONED)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_deref_mut().expect(HELD)
    }
}

/// See `parking_lot::RwLock`.
#[derive(Debug, Default)]
pub struct RwLock<T>(inner::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        RwLock(inner::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> inner::RwLockReadGuard<'_, T> {
        self.0.read().expect(POISONED)
    }

    /// Waits until nobody else holds it.
    pub fn write(&self) -> inner::RwLockWriteGuard<'_, T> {
        self.0.write().expect(POISONED)
    }

    /// Takes it if nobody holds it.
    pub fn try_write(&self) -> Option<inner::RwLockWriteGuard<'_, T>> {
        self.0.try_write().ok()
    }
}

/// See `parking_lot::Condvar`.
#[derive(Debug, Default)]
pub struct Condvar(inner::Condvar);

/// See `parking_lot::WaitTimeoutResult`.
#[derive(Clone, Copy, Debug)]
pub struct WaitTimeoutResult;

impl WaitTimeoutResult {
    /// Never: time does not pass.
    #[must_use]
    pub fn timed_out(self) -> bool {
        false
    }
}

impl Condvar {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Condvar(inner::Condvar::new())
    }

    /// Gives the lock back, waits to be woken, and takes it again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect(HELD);
        guard.0 = Some(self.0.wait(held).expect(POISONED));
    }

    /// As [`Condvar::wait`].
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _patience: Duration) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult
    }

    /// Wakes one that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
