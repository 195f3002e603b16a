//! When a failed request is made again: a pure function of how often it was made, and a coin.

use std::time::Duration;

use dosql_base::Error;
use object_store::Error as StoreError;

/// How often and after how long a failed request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Requests made in all, the first one included (default 8, 1 at least).
    pub attempts: u32,
    /// The longest wait before the first repetition (default 50 ms); it doubles each time.
    pub first: Duration,
    /// The longest wait of all (default 5 s).
    pub longest: Duration,
    /// When to give up, since the first request began (default 60 s): none is begun later.
    pub total: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Retries {
            attempts: 8,
            first: Duration::from_millis(50),
            longest: Duration::from_secs(5),
            total: Duration::from_secs(60),
        }
    }
}

impl Retries {
    /// How long to wait after `failed` requests (1 or more): between half and all of the doubled time, as `random` says, so that many who
    /// failed together do not come back together.
    #[must_use]
    pub fn wait(&self, failed: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.longest);
        let half = doubled / 2;
        let share = u32::try_from(random >> 32).unwrap_or(0);
        half + half.mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// Whether to try once more after `failed` requests, when the next would begin `elapsed` after the first.
    #[must_use]
    pub fn goes_on(&self, failed: u32, elapsed: Duration) -> bool {
        failed < self.attempts && elapsed < self.total
    }
}

/// How a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It would fail again.
    Final(Error),
    /// It may work another time; it may also have worked, and the answer was lost.
    Passing(String),
}

impl Failure {
    /// Whether an error of the store is worth another try. What is not there or not allowed stays so; all else may pass.
    pub(super) fn of(error: StoreError, name: &str) -> Failure {
        match error {
            StoreError::NotFound { .. } => Failure::Final(crate::store::missing(name)),
            StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
                Failure::Final(crate::store::taken(name))
            }
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
                Failure::Final(refused(&error, "check the credentials and what they allow", name))
            }
            StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => Failure::Final(
                Error::unsupported(format!("the object store can't do this: {}", told(&error))).at(name),
            ),
            StoreError::InvalidPath { .. } | StoreError::UnknownConfigurationKey { .. } => {
                Failure::Final(refused(&error, "check the address of the store", name))
            }
            error => {
                let why = told(&error);
                // A code of S3's that the client has no error for.
                if why.contains("<Code>NoSuchBucket</Code>") {
                    return Failure::Final(no_bucket(name));
                }
                Failure::Passing(why)
            }
        }
    }
}

fn refused(error: &StoreError, advice: &str, name: &str) -> Error {
    io(format!("the object store refused: {}; {advice}", told(error))).at(name)
}

pub(super) fn no_bucket(name: &str) -> Error {
    io("there is no such bucket; create it".to_string()).at(name)
}

pub(super) fn io(message: String) -> Error {
    Error::new(dosql_base::ErrorKind::Io, dosql_base::Code::IoErr, message)
}

/// The error with what caused it.
fn told(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let retries = Retries::default();
        let waits =
            |random| (1..12).map(|failed| retries.wait(failed, random).as_millis()).collect::<Vec<_>>();
        assert_eq!(waits(u64::MAX), [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000]);
        assert_eq!(waits(0), [25, 50, 100, 200, 400, 800, 1_600, 2_500, 2_500, 2_500, 2_500]);
        assert!(retries.wait(u32::MAX, 1 << 63) < Duration::from_secs(4));
    }

    #[test]
    fn it_gives_up_after_so_many_or_so_long() {
        let retries = Retries::default();
        assert!(retries.goes_on(7, Duration::ZERO) && !retries.goes_on(8, Duration::ZERO));
        assert!(retries.goes_on(1, Duration::from_secs(59)) && !retries.goes_on(1, Duration::from_secs(60)));
    }
}
