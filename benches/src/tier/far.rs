//! An object store that is as far away as one in another building: each request takes a while to get there, and all share one line.
//! What is asked of it is counted.
//!
//! ```text
//! request --delay--> store --bytes, one after the other on the line--> answer
//! ```
//!
//! Requests made at the same time wait at the same time; their bytes come one after the other. So whoever asks ahead gets what the line
//! carries, and whoever asks block by block waits for every one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

/// How far away it is.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// Of each request, before its bytes.
    pub delay: Duration,
    /// Bytes a second, of all requests together.
    pub rate: u64,
}

/// That of every run: 10 ms, and about what one machine gets from a bucket.
pub const DISTANCE: Distance = Distance { delay: Duration::from_millis(10), rate: 100_000_000 };

/// What was asked of the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Objects stored, parts of such, and copies.
    pub puts: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Reads.
    pub gets: u64,
    /// What they brought.
    pub get_bytes: u64,
}

/// See the module's description.
pub struct Far {
    inner: Arc<dyn ObjectStore>,
    line: Arc<Line>,
}

/// What requests share.
struct Line {
    distance: Distance,
    free_at: Mutex<Instant>,
    counts: [AtomicU64; 4],
}

impl Line {
    /// Waits as long as a request takes that moves so many bytes.
    async fn carry(&self, bytes: u64) {
        let taken = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.distance.rate.max(1));
        let end = {
            let mut free_at = self.free_at.lock();
            let arrived = Instant::now() + self.distance.delay;
            *free_at = arrived.max(*free_at) + taken;
            *free_at
        };
        tokio::time::sleep_until(end.into()).await;
    }

    fn count(&self, at: usize, more: u64) {
        self.counts[at].fetch_add(more, Ordering::Relaxed);
    }

    async fn put(&self, bytes: usize) {
        self.count(0, 1);
        self.count(1, bytes as u64);
        self.carry(bytes as u64).await;
    }

    async fn get(&self, bytes: u64) {
        self.count(2, 1);
        self.count(3, bytes);
        self.carry(bytes).await;
    }
}

impl Far {
    /// `inner` at this distance.
    pub fn new(inner: Arc<dyn ObjectStore>, distance: Distance) -> Arc<Far> {
        let counts = Default::default();
        let line = Line { distance, free_at: Mutex::new(Instant::now()), counts };
        Arc::new(Far { inner, line: Arc::new(line) })
    }

    /// What was asked since the beginning.
    pub fn asked(&self) -> Asked {
        let count = |at: usize| self.line.counts[at].load(Ordering::Relaxed);
        Asked { puts: count(0), put_bytes: count(1), gets: count(2), get_bytes: count(3) }
    }
}

impl Asked {
    /// What was asked between `before` and this.
    pub fn since(&self, before: &Asked) -> Asked {
        Asked {
            puts: self.puts - before.puts,
            put_bytes: self.put_bytes - before.put_bytes,
            gets: self.gets - before.gets,
            get_bytes: self.get_bytes - before.get_bytes,
        }
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Far({:?})", self.inner)
    }
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "far {}", self.inner)
    }
}

/// An upload in parts, each a request.
#[derive(Debug)]
struct FarUpload {
    inner: Box<dyn MultipartUpload>,
    line: Arc<Line>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.distance)
    }
}

#[async_trait::async_trait]
impl MultipartUpload for FarUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (line, bytes) = (Arc::clone(&self.line), data.content_length());
        let sent = self.inner.put_part(data);
        Box::pin(async move {
            line.put(bytes).await;
            sent.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.line.put(0).await;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[async_trait::async_trait]
impl ObjectStore for Far {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.line.put(payload.content_length()).await;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.line.put(0).await;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(FarUpload { inner, line: Arc::clone(&self.line) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let found = self.inner.get_opts(location, options).await;
        let bytes = match &found {
            Ok(found) if !head => found.range.end - found.range.start,
            _ => 0,
        };
        self.line.get(bytes).await;
        found
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        object_store::coalesce_ranges(
            ranges,
            |range| async move {
                let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
                self.get_opts(location, options).await?.bytes().await
            },
            object_store::OBJECT_STORE_COALESCE_DEFAULT,
        )
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.line.carry(0).await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.line.put(0).await;
        self.inner.copy_opts(from, to, options).await
    }
}
