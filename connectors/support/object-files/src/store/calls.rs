//! Requests to an object store from a thread that may block: each with a time limit, and none without end.

use super::failure::{Doing, store_error, too_slow};
use crate::location::Bucket;
use object_store::ObjectStore;
use object_store::list::PaginatedListStore;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::runtime::Handle;
use unbatch_api::{Error, Result};

/// How long and how often a request is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// The whole call with all its attempts.
    pub call: Duration,
    /// One attempt, answer included. A block of a file ([`crate::BLOCK_BYTES`]) must pass within it.
    pub attempt: Duration,
    pub connect: Duration,
    /// An attempt, and the whole call, of copying a large file inside the store, which can take it minutes.
    pub copy: Duration,
    /// Attempts after the first one that failed for a reason that may pass.
    pub retries_max: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(90),
            attempt: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            copy: Duration::from_secs(300),
            retries_max: 3,
        }
    }
}

/// What every cloud's client can do.
pub(crate) trait Client: ObjectStore + PaginatedListStore {}
impl<T: ObjectStore + PaginatedListStore> Client for T {}

/// A client, and the runtime that its requests run on.
#[derive(Clone)]
pub(crate) struct Calls {
    pub client: Arc<dyn Client>,
    /// The same with more time for its attempts, for large copies.
    pub copier: Arc<dyn Client>,
    pub bucket: Arc<Bucket>,
    pub runtime: Handle,
    pub limits: CallLimits,
}

/// A request under way. Dropped, it is given up.
pub(crate) struct Call<T> {
    task: tokio::task::JoinHandle<()>,
    answer: std::sync::mpsc::Receiver<object_store::Result<T>>,
}

impl Calls {
    /// Starts a request.
    pub fn start<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Call<T> {
        let (sender, answer) = sync_channel(1);
        let task = self.runtime.spawn(async move {
            // nobody may wait any more
            let _ = sender.send(request.await);
        });
        Call { task, answer }
    }

    /// Waits for a request; the store's own error stays, for those that are an answer.
    pub fn wait<T>(&self, call: Call<T>, doing: Doing, name: &str) -> Result<object_store::Result<T>> {
        let limit = if doing == Doing::Copy { self.limits.copy } else { self.limits.call };
        match call.answer.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => Err(too_slow(doing, &self.bucket, name, limit)),
            // its runtime is being shut down, as at the end of a process
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::transient("asking a store failed: the request was given up").code("U0312"))
            }
        }
    }

    /// Makes a request and waits for it.
    pub fn call<T: Send + 'static>(
        &self,
        doing: Doing,
        name: &str,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<object_store::Result<T>> {
        self.wait(self.start(request), doing, name)
    }

    pub fn error(&self, doing: Doing, name: &str, error: &object_store::Error) -> Error {
        store_error(doing, &self.bucket, name, error)
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
