//! An object store that fails on request.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request has no effect.
    Refuse,
    /// It takes effect, and the answer is lost.
    LoseAnswer,
    /// A read ends before its time; other requests are refused.
    CutShort,
    /// No answer ever comes; it takes effect.
    Hang,
}

#[derive(Default)]
pub struct State {
    requests: AtomicU64,
    running: AtomicU64,
    most: AtomicU64,
    every: Mutex<Option<(u64, Fault)>>,
    next: Mutex<Option<Fault>>,
}

pub struct Flaky {
    inner: Arc<dyn ObjectStore>,
    state: Arc<State>,
}

fn error() -> Error {
    Error::Generic { store: "flaky", source: "the connection was reset".into() }
}

/// So that no number of requests a call is in step with the faults.
fn mixed(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

impl State {
    fn fault(&self) -> Option<Fault> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if let Some(fault) = self.next.lock().take() {
            return Some(fault);
        }
        self.every.lock().filter(|(every, _)| mixed(number).is_multiple_of(*every)).map(|(_, fault)| fault)
    }

    async fn carry_out<T>(self: Arc<Self>, request: BoxFuture<'_, Result<T>>) -> Result<T> {
        let fault = self.fault();
        if matches!(fault, Some(Fault::Refuse | Fault::CutShort)) {
            return Err(error());
        }
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let answer = request.await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        match fault {
            Some(Fault::LoseAnswer) => answer.and_then(|_| Err(error())),
            Some(Fault::Hang) => std::future::pending().await,
            _ => answer,
        }
    }
}

impl Flaky {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Flaky { inner, state: Arc::default() }
    }

    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub fn most_at_once(&self) -> u64 {
        self.state.most.load(Ordering::SeqCst)
    }

    /// One of so many requests from now on fails.
    pub fn fail_every(&self, every: u64, fault: Fault) {
        self.state.requests.store(0, Ordering::SeqCst);
        *self.state.every.lock() = Some((every, fault));
    }

    pub fn fail_next(&self, fault: Fault) {
        *self.state.next.lock() = Some(fault);
    }

    pub fn heal(&self) {
        *self.state.every.lock() = None;
    }

    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.state.next.lock().take_if(|fault| *fault == Fault::CutShort);
        let fault = fault.or(self
            .state
            .every
            .lock()
            .filter(|(every, fault)| {
                *fault == Fault::CutShort
                    && mixed(self.state.requests.load(Ordering::SeqCst)).is_multiple_of(*every)
            })
            .map(|(_, fault)| fault));
        if fault.is_none() || options.head {
            return self.state.clone().carry_out(Box::pin(self.inner.get_opts(location, options))).await;
        }
        self.state.requests.fetch_add(1, Ordering::SeqCst);
        let found = self.inner.get_opts(location, options).await?;
        let (meta, range, attributes, extensions) =
            (found.meta.clone(), found.range.clone(), found.attributes.clone(), found.extensions.clone());
        let bytes = found.bytes().await?;
        let bytes: Bytes = bytes.slice(..bytes.len().saturating_sub(1));
        let payload = GetResultPayload::Stream(futures_util::stream::iter([Ok(bytes)]).boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    state: Arc<State>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

type Answer<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        Box::pin(self.state.clone().carry_out(self.inner.put_part(data)))
    }

    fn complete<'s, 'a>(&'s mut self) -> Answer<'a, PutResult>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(self.state.clone().carry_out(self.inner.complete()))
    }

    fn abort<'s, 'a>(&'s mut self) -> Answer<'a, ()>
    where
        's: 'a,
        Self: 'a,
    {
        self.inner.abort()
    }
}

impl ObjectStore for Flaky {
    fn put_opts<'s, 'p, 'a>(
        &'s self,
        location: &'p Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Answer<'a, PutResult>
    where
        's: 'a,
        'p: 'a,
        Self: 'a,
    {
        Box::pin(self.state.clone().carry_out(self.inner.put_opts(location, payload, options)))
    }

    fn put_multipart_opts<'s, 'p, 'a>(
        &'s self,
        location: &'p Path,
        options: PutMultipartOptions,
    ) -> Answer<'a, Box<dyn MultipartUpload>>
    where
        's: 'a,
        'p: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let upload =
                self.state.clone().carry_out(self.inner.put_multipart_opts(location, options)).await?;
            Ok(Box::new(Upload { inner: upload, state: self.state.clone() }) as Box<dyn MultipartUpload>)
        })
    }

    fn get_opts<'s, 'p, 'a>(&'s self, location: &'p Path, options: GetOptions) -> Answer<'a, GetResult>
    where
        's: 'a,
        'p: 'a,
        Self: 'a,
    {
        Box::pin(self.get(location, options))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.state.fault() {
            None => self.inner.delete_stream(locations),
            Some(Fault::LoseAnswer) => {
                self.inner.delete_stream(locations).map(|removed| removed.and(Err(error()))).boxed()
            }
            Some(_) => futures_util::stream::iter([Err(error())]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.state.fault() {
            None => self.inner.list(prefix),
            // Some names, then nothing more.
            Some(_) => {
                self.inner.list(prefix).take(1).chain(futures_util::stream::iter([Err(error())])).boxed()
            }
        }
    }

    fn list_with_delimiter<'s, 'p, 'a>(&'s self, prefix: Option<&'p Path>) -> Answer<'a, ListResult>
    where
        's: 'a,
        'p: 'a,
        Self: 'a,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'s, 'f, 't, 'a>(
        &'s self,
        from: &'f Path,
        to: &'t Path,
        options: CopyOptions,
    ) -> Answer<'a, ()>
    where
        's: 'a,
        'f: 'a,
        't: 'a,
        Self: 'a,
    {
        self.inner.copy_opts(from, to, options)
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}

impl fmt::Debug for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}
