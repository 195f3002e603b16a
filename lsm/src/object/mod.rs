//! Segments in an object store: S3, R2 and whatever else the crate `object_store` knows. Behind the feature `object-store`.
//!
//! ```text
//! caller, any thread --future--> worker: one thread, one runtime --requests--> bucket
//!        <------------answer---
//! ```
//!
//! The trait is synchronous and the store is not. A thread of its own runs the requests, so that a caller never runs a runtime inside
//! somebody else's. `client` makes requests and repeats them, `retry` says when, `ahead` has the next window of a
//! scan under way, `url` opens by address.

mod ahead;
mod client;
mod retry;
mod url;
mod worker;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dosql_base::{Env, Error, Result};
use object_store::ObjectStore;
use object_store::path::Path;

pub use retry::Retries;
pub use url::{Credentials, segments_at};

use crate::near::NearBuffer;
use crate::store::{SegmentStore, Wanted, validate_name};
use ahead::Ahead;
use client::Client;
use worker::Worker;

/// How an object store is used.
#[derive(Clone, Debug)]
pub struct ObjectOptions {
    /// When failed requests are repeated.
    pub retries: Retries,
    /// How long one request may take besides the time that its bytes take at 256 KiB a second (default 10 s).
    pub timeout: Duration,
    /// Requests under way at a time for one call (default 6, what a Cloudflare Worker may have; S3 bears more).
    pub parallel: usize,
    /// The most that one request reads, in bytes (default 8 MiB): longer ranges are read in parts, side by side.
    pub read_bytes: u64,
    /// Objects longer than this are uploaded in parts, in bytes (default 128 MiB). A single request is refused by the store where the name
    /// is taken; for parts that is looked up before, so that only unique names protect two who upload at once.
    pub multipart_bytes: usize,
    /// The length of all parts but the last, in bytes (default 16 MiB; 5 MiB at least, or S3 refuses).
    pub part_bytes: usize,
    /// What [`ObjectSegmentStore::waiting`] keeps of what it fetched, in bytes (default 64 MiB).
    pub near_bytes: u64,
    /// What is fetched ahead of scans before anybody waits for it, in bytes (default 16 MiB): two windows of the longest sort.
    pub ahead_bytes: u64,
    /// Who asks, for [`segments_at`].
    pub credentials: Credentials,
    /// Where the jitter of waiting times comes from.
    pub env: Env,
}

impl ObjectOptions {
    /// The defaults.
    #[must_use]
    pub fn new(env: Env) -> Self {
        ObjectOptions {
            retries: Retries::default(),
            timeout: Duration::from_secs(10),
            parallel: 6,
            read_bytes: 8 << 20,
            multipart_bytes: 128 << 20,
            part_bytes: 16 << 20,
            near_bytes: 64 << 20,
            ahead_bytes: 16 << 20,
            credentials: Credentials::Environment,
            env,
        }
    }
}

/// Segments in a bucket, below a prefix. Nothing else may write there.
pub struct ObjectSegmentStore {
    client: Arc<Client>,
    worker: Worker,
    /// Where reads do not wait.
    near: Option<NearBuffer>,
    ahead: Ahead,
}

impl ObjectSegmentStore {
    /// A store whose calls wait for the bucket. `prefix` is a path within it, empty for all of it. Fails with
    /// [`dosql_base::ErrorKind::InvalidInput`] where that is none, with [`dosql_base::ErrorKind::Io`] where no thread can be had.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, options: ObjectOptions) -> Result<Self> {
        let base = Path::parse(prefix)
            .map_err(|error| Error::invalid(format!("{prefix:?} is no path in a bucket: {error}")))?;
        let ahead = Ahead::new(options.ahead_bytes);
        let client = Arc::new(Client::new(store, base, options));
        Ok(ObjectSegmentStore { client, worker: Worker::start()?, near: None, ahead })
    }

    /// A store whose reads never wait: they answer `WouldBlock` until [`ObjectSegmentStore::fetch`] has brought near what is wanted. Its
    /// other calls wait; within an async runtime prefer [`ObjectSegmentStore::upload`] to `put`.
    pub fn waiting(store: Arc<dyn ObjectStore>, prefix: &str, options: ObjectOptions) -> Result<Self> {
        let near = NearBuffer::new(options.near_bytes);
        Ok(ObjectSegmentStore { near: Some(near), ..Self::new(store, prefix, options)? })
    }

    /// Brings near what [`SegmentStore::wanted`] has handed out: with few requests, side by side. The future runs under any executor,
    /// as the requests run in the store's own thread. Where a range can't be had, the next read of it says why, and wants it again after.
    /// Fails only with [`dosql_base::ErrorKind::InvalidInput`] for names that are none.
    pub async fn fetch(&self, wanted: &[Wanted]) -> Result<()> {
        let Some(near) = &self.near else { return Ok(()) };
        for Wanted { name, .. } in wanted {
            validate_name(name)?;
        }
        let (client, requests) = (self.client.clone(), NearBuffer::requests(wanted));
        let asked = requests.iter().map(|wish| (wish.name.clone(), wish.range.clone())).collect();
        let parts = self.worker.run_async(async move { Ok(client.get_all(asked).await) }).await?;
        for (Wanted { name, range }, bytes) in requests.into_iter().zip(parts) {
            near.arrived(name, range, bytes.map(Into::into));
        }
        Ok(())
    }

    /// [`SegmentStore::put`] for async callers.
    pub async fn upload(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        validate_name(name)?;
        let (client, name) = (self.client.clone(), name.to_string());
        self.worker.run_async(async move { client.put(&name, bytes.into()).await }).await
    }
}

impl SegmentStore for ObjectSegmentStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        validate_name(name)?;
        let (client, name, bytes) = (self.client.clone(), name.to_string(), Bytes::copy_from_slice(bytes));
        self.worker.run(async move { client.put(&name, bytes).await })
    }

    fn put_shared(&self, name: &str, bytes: &Arc<Vec<u8>>) -> Result<()> {
        validate_name(name)?;
        let (client, name, bytes) = (self.client.clone(), name.to_string(), Shared(Arc::clone(bytes)));
        self.worker.run(async move { client.put(&name, Bytes::from_owner(bytes)).await })
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        if let Some(bytes) = self.ahead.take(name, &range) {
            return Ok(bytes.into());
        }
        let mut parts = self.get_ranges(name, std::slice::from_ref(&range))?;
        Ok(parts.pop().unwrap_or_default())
    }

    fn get_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        validate_name(name)?;
        if let Some(near) = &self.near {
            return near.read(name, ranges);
        }
        let (client, name, ranges) = (self.client.clone(), name.to_string(), ranges.to_vec());
        self.worker.run(async move { client.get_ranges(&name, &ranges).await })
    }

    fn prefetch(&self, name: &str, range: Range<u64>) {
        // Who never waits fetches what is wanted, and nothing else.
        if self.near.is_some() || validate_name(name).is_err() {
            return;
        }
        let Some(arrived) = self.ahead.expect(name, &range) else { return };
        let (client, name) = (self.client.clone(), name.to_string());
        let fetched = async move {
            let mut parts = client.get_all(vec![(name, range)]).await;
            drop(arrived.send(parts.pop().unwrap_or_else(|| Ok(Bytes::new()))));
        };
        // Where the thread has stopped, the read says so.
        drop(self.worker.spawn(Box::pin(fetched)));
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| validate_name(name))?;
        if let Some(near) = &self.near {
            near.forget(names);
        }
        let (client, names) = (self.client.clone(), names.iter().map(|name| (*name).to_string()).collect());
        self.worker.run(async move { client.delete(names).await })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (client, prefix) = (self.client.clone(), prefix.to_string());
        self.worker.run(async move { client.list(&prefix).await })
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.near.as_ref().map(NearBuffer::wanted).unwrap_or_default()
    }
}

/// Bytes on their way that are somebody else's too.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ObjectSegmentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSegmentStore").field("client", &self.client).finish_non_exhaustive()
    }
}
