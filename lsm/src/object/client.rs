//! Requests, made again as long as that may help.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dosql_base::{Error, ErrorKind, Result};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload};

use super::ObjectOptions;
use super::retry::{Failure, io, no_bucket};
use crate::ranges::{COALESCE_GAP, coalesce};
use crate::store::{taken, too_short};

/// The slowest that bytes may come, a second.
const LEAST_RATE: u64 = 256 << 10;

/// No object is this long.
const BEYOND_ANY: u64 = 1 << 48;

/// What is not there, where no object was asked for, is the bucket.
fn blame_bucket(error: Error) -> Error {
    if error.kind() == ErrorKind::Corrupt { no_bucket(error.place().unwrap_or_default()) } else { error }
}

type Attempt<T> = std::result::Result<T, Failure>;

#[derive(Debug)]
pub(super) struct Client {
    store: Arc<dyn ObjectStore>,
    base: Path,
    options: ObjectOptions,
}

impl Client {
    pub(super) fn new(store: Arc<dyn ObjectStore>, base: Path, options: ObjectOptions) -> Self {
        Client { store, base, options }
    }

    fn path(&self, name: &str) -> Path {
        self.base.clone().join(name)
    }

    /// Makes a request that moves `bytes` bytes until it succeeds, fails for good, or has failed long enough. It is told how often it
    /// failed before.
    async fn repeat<T, F>(&self, name: &str, bytes: u64, mut request: impl FnMut(u32) -> F) -> Result<T>
    where
        F: Future<Output = Attempt<T>>,
    {
        let begun = tokio::time::Instant::now();
        let allowed = self.options.timeout + Duration::from_secs(bytes / LEAST_RATE);
        let mut failed = 0;
        loop {
            let why = match tokio::time::timeout(allowed, request(failed)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Passing(why))) => why,
                Err(_) => format!("no answer within {allowed:?}"),
            };
            failed += 1;
            let wait = self.options.retries.wait(failed, self.options.env.random_u64());
            if !self.options.retries.goes_on(failed, begun.elapsed() + wait) {
                let what = format!(
                    "the object store failed {failed} times in a row; try later. The last time: {why}"
                );
                return Err(io(what).at(name));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Stores an object unless its name is taken. Where an answer was lost, what is stored is compared.
    pub(super) async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        self.repeat(name, length, |failed| self.put_once(name, bytes.clone(), failed))
            .await
            .map_err(blame_bucket)
    }

    async fn put_once(&self, name: &str, bytes: Bytes, failed: u32) -> Attempt<()> {
        let stored = if bytes.len() > self.options.multipart_bytes {
            self.put_parts(name, bytes.clone()).await
        } else {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = self.store.put_opts(&self.path(name), PutPayload::from(bytes.clone()), options).await;
            put.map(|_| ()).map_err(|error| Failure::of(error, name))
        };
        match stored {
            // Perhaps it was the request before that took the name.
            Err(Failure::Final(error)) if error.kind() == ErrorKind::Conflict && failed > 0 => {
                if self.holds(name, &bytes).await? { Ok(()) } else { Err(Failure::Final(error)) }
            }
            stored => stored,
        }
    }

    async fn put_parts(&self, name: &str, bytes: Bytes) -> Attempt<()> {
        if self.size(name).await?.is_some() {
            return Err(Failure::Final(taken(name)));
        }
        let of = |error| Failure::of(error, name);
        let path = self.path(name);
        let upload = self.store.put_multipart_opts(&path, PutMultipartOptions::default());
        let mut upload = upload.await.map_err(of)?;
        let mut rest = bytes;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(self.options.part_bytes.max(1)));
            parts.push(upload.put_part(PutPayload::from(part)));
        }
        let sent =
            stream::iter(parts).buffer_unordered(self.options.parallel.max(1)).try_collect::<Vec<()>>();
        let stored = match sent.await {
            Ok(_) => upload.complete().await.map(|_| ()),
            Err(error) => Err(error),
        };
        if stored.is_err() {
            // What is not thrown away now the store throws away after some days.
            let _ = upload.abort().await;
        }
        stored.map_err(of)
    }

    /// Whether an object is stored with these bytes.
    async fn holds(&self, name: &str, bytes: &Bytes) -> Attempt<bool> {
        if self.size(name).await? != Some(bytes.len() as u64) {
            return Ok(false);
        }
        for start in (0..bytes.len()).step_by(self.options.read_bytes.max(1) as usize) {
            let end = bytes.len().min(start.saturating_add(self.options.read_bytes.max(1) as usize));
            if self.get_once(name, &(start as u64..end as u64)).await? != bytes.slice(start..end) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The length of an object, if it is there.
    async fn size(&self, name: &str) -> Attempt<Option<u64>> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        match self.store.get_opts(&self.path(name), options).await {
            Ok(found) => Ok(Some(found.meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Failure::of(error, name)),
        }
    }

    /// The bytes of a range, all of them.
    async fn get_once(&self, name: &str, range: &Range<u64>) -> Attempt<Bytes> {
        if range.start >= range.end || range.end > BEYOND_ANY {
            return self.check_range(name, range).await.map(|()| Bytes::new());
        }
        let wish = Some(GetRange::Bounded(range.clone()));
        let found =
            self.store.get_opts(&self.path(name), GetOptions { range: wish, ..GetOptions::default() }).await;
        let found = match found {
            Ok(found) => found,
            // A range that begins beyond the end has no error of its own.
            Err(error) => return Err(self.blame_range(name, range, Failure::of(error, name)).await),
        };
        let size = found.meta.size;
        let bytes = found.bytes().await.map_err(|error| Failure::of(error, name))?;
        if bytes.len() as u64 == range.end - range.start {
            return Ok(bytes);
        }
        if size < range.end {
            return Err(Failure::Final(too_short(name, range)));
        }
        Err(Failure::Passing(format!("{} bytes came of {}", bytes.len(), range.end - range.start)))
    }

    /// Whether it is no wonder that a range can't be read.
    async fn blame_range(&self, name: &str, range: &Range<u64>, failure: Failure) -> Failure {
        if matches!(failure, Failure::Final(_)) {
            return failure;
        }
        match self.check_range(name, range).await {
            Err(wrong @ Failure::Final(_)) => wrong,
            _ => failure,
        }
    }

    async fn check_range(&self, name: &str, range: &Range<u64>) -> Attempt<()> {
        match self.size(name).await? {
            None => Err(Failure::Final(crate::store::missing(name))),
            Some(size) if range.start > range.end || range.end > size => {
                Err(Failure::Final(too_short(name, range)))
            }
            Some(_) => Ok(()),
        }
    }

    /// The bytes of a range, in parts side by side where it is long.
    async fn get(&self, name: &str, range: Range<u64>) -> Result<Bytes> {
        let whole = range.end.saturating_sub(range.start);
        let step = self.options.read_bytes.max(1);
        if whole <= step || range.end > BEYOND_ANY {
            return self.repeat(name, whole.min(BEYOND_ANY), |_| self.get_once(name, &range)).await;
        }
        let starts = (0..whole.div_ceil(step)).map(|part| range.start + part * step);
        let parts = starts.map(|start| {
            let part = start..range.end.min(start + step);
            async move { self.repeat(name, step, |_| self.get_once(name, &part)).await }
        });
        let parts: Vec<Bytes> =
            stream::iter(parts).buffered(self.options.parallel.max(1)).try_collect().await?;
        let mut all = BytesMut::with_capacity(usize::try_from(whole).unwrap_or(0));
        parts.iter().for_each(|part| all.extend_from_slice(part));
        Ok(all.freeze())
    }

    /// The bytes of ranges of any objects, or why they can't be had, side by side.
    pub(super) async fn get_all(&self, ranges: Vec<(String, Range<u64>)>) -> Vec<Result<Bytes>> {
        let requests = ranges.into_iter().map(|(name, range)| async move { self.get(&name, range).await });
        stream::iter(requests).buffered(self.options.parallel.max(1)).collect().await
    }

    pub(super) async fn get_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        // Empty ranges are no requests, but what is not there has none either.
        if let Some(empty) = ranges.iter().find(|range| range.is_empty()) {
            self.repeat(name, 0, |_| self.check_range(name, empty)).await?;
        }
        let plan = coalesce(ranges, COALESCE_GAP, self.options.read_bytes);
        if let ([_], [_]) = (ranges, plan.fetch.as_slice()) {
            return Ok(vec![self.get(name, plan.fetch[0].clone()).await?.into()]);
        }
        let fetch = plan.fetch.iter().map(|range| (name.to_string(), range.clone())).collect();
        let parts: Result<Vec<Bytes>> = self.get_all(fetch).await.into_iter().collect();
        plan.split(&parts?)
    }

    /// Removes objects, many with a request where the store can.
    pub(super) async fn delete(&self, names: Vec<String>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let first = names[0].as_str();
        self.repeat(first, names.len() as u64 * 1_000, |_| async {
            let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
            let mut removed = self.store.delete_stream(stream::iter(paths).boxed());
            while let Some(result) = removed.next().await {
                match result {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(Failure::of(error, first)),
                }
            }
            Ok(())
        })
        .await
    }

    /// The names below the prefix that begin with `start`.
    pub(super) async fn list(&self, start: &str) -> Result<Vec<String>> {
        let base = (!self.base.as_ref().is_empty()).then_some(&self.base);
        let listed = self.repeat(start, 0, |_| async {
            let mut names = Vec::new();
            let mut found = self.store.list(base);
            while let Some(object) = found.try_next().await.map_err(|error| Failure::of(error, start))? {
                let mut parts = object.location.prefix_match(&self.base).into_iter().flatten();
                if let (Some(name), None) = (parts.next(), parts.next())
                    && name.as_ref().starts_with(start)
                {
                    names.push(name.as_ref().to_string());
                }
            }
            Ok(names)
        });
        listed.await.map_err(blame_bucket)
    }
}
