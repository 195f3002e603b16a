//! The thread that runs requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

use dosql_base::{Code, Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

pub(super) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread with a runtime of its own. When it is dropped, what is under way is given up: it may or may not take effect.
#[derive(Debug)]
pub(super) struct Worker {
    /// None only while it is dropped.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A thread that waits for something to do.
    pub(super) fn start() -> Result<Worker> {
        let failed = |error: &std::io::Error| Error::io("start the thread of an object store", error);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(|error| failed(&error))?;
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        // The one place below the engine where a thread is needed: the client library is asynchronous, the caller is not.
        let thread = Builder::new().name("dosql-objects".to_string()).spawn(move || {
            runtime.block_on(async {
                while let Some(job) = queue.recv().await {
                    tokio::task::spawn(job);
                }
            });
            runtime.shutdown_background();
        });
        Ok(Worker { jobs: Some(jobs), thread: Some(thread.map_err(|error| failed(&error))?) })
    }

    /// Runs something that nobody waits for.
    pub(super) fn spawn(&self, job: Job) -> Result<()> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(cut_off()) }
    }

    /// Runs a request and waits for it, without a runtime or within any.
    pub(super) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = sync_channel(1);
        self.spawn(Box::pin(async move { drop(answer.send(request.await)) }))?;
        answered.recv().unwrap_or_else(|_| Err(cut_off()))
    }

    /// Runs a request for whoever awaits it. It goes on where the future is dropped.
    pub(super) async fn run_async<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.spawn(Box::pin(async move { drop(answer.send(request.await)) }))?;
        answered.await.unwrap_or_else(|_| Err(cut_off()))
    }
}

fn cut_off() -> Error {
    let what = "the thread of the object store has stopped; open the store again";
    Error::new(ErrorKind::Closed, Code::Closed, what)
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        // A panic there has been answered by `cut_off`.
        thread.map(JoinHandle::join);
    }
}
