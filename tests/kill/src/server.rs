//! The S3 server of a site: what is uploaded to it, and when it is away.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use unbatch_test_harness::{S3, unique_name};

use crate::Outcome;
use crate::owner::wait;

/// The variable that a pipeline takes the key from.
pub(crate) const SECRET: &str = "UNBATCH_KILL_S3_SECRET";

/// How the server goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// By SIGKILL: connections are refused.
    Killed,
    /// By SIGSTOP: it takes connections and answers nothing.
    Frozen,
}

/// A server, and a client of its bucket that is not the product's own.
pub(crate) struct Server {
    /// Held by whoever uploads, and by an outage.
    s3: Mutex<S3>,
    client: AmazonS3,
    runtime: Runtime,
    outages: Mutex<Vec<JoinHandle<()>>>,
}

/// A folder of a round in the bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    server: Arc<Server>,
    prefix: String,
}

impl Server {
    /// `None`: it cannot be had, and `test` was noted as not run.
    pub(crate) fn start(test: &str) -> Option<Server> {
        let s3 = S3::own_from_env(test)?;
        let client = AmazonS3Builder::new()
            .with_endpoint(s3.endpoint())
            .with_allow_http(true)
            .with_bucket_name(s3.bucket())
            .with_region("us-east-1")
            .with_access_key_id(s3.access_key_id())
            .with_secret_access_key(s3.secret_access_key())
            .build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        match (client, runtime) {
            (Ok(client), Ok(runtime)) => {
                Some(Server { s3: Mutex::new(s3), client, runtime, outages: Mutex::default() })
            }
            (client, runtime) => panic!("no client for the S3 server: {:?} {:?}", client.err(), runtime.err()),
        }
    }

    /// Takes the server away in `begins` from now, for `lasts`.
    pub(crate) fn take_away(self: &Arc<Self>, how: Outage, begins: Duration, lasts: Duration) {
        let server = self.clone();
        let outage = thread::spawn(move || {
            pass(begins);
            let mut s3 = server.lock();
            match how {
                Outage::Killed => s3.kill(),
                Outage::Frozen => s3.freeze(),
            }
            pass(lasts);
            match how {
                Outage::Killed => s3.revive(),
                Outage::Frozen => s3.thaw(),
            }
        });
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).push(outage);
    }

    /// Waits until all outages are over.
    pub(crate) fn back(&self) -> Outcome<()> {
        let outages = std::mem::take(&mut *self.outages.lock().unwrap_or_else(PoisonError::into_inner));
        for outage in outages {
            outage.join().map_err(|_| "the S3 server did not go or come back".to_owned())?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, S3> {
        self.s3.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets so much time go by: when an outage begins and ends is drawn, and waits for nothing.
fn pass(time: Duration) {
    wait(time, || None::<()>);
}

impl Bucket {
    /// A part of the bucket that nobody else uses.
    pub(crate) fn new(server: Arc<Server>) -> Bucket {
        Bucket { server, prefix: unique_name("kill") }
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The URL of a folder.
    pub(crate) fn url(&self, folder: &str) -> String {
        format!("s3://{}/{}/{folder}/", self.server.lock().bucket(), self.prefix)
    }

    /// The `store` of a pipeline file; the secret is in [`SECRET`].
    pub(crate) fn store(&self) -> Value {
        let s3 = self.server.lock();
        let keys = json!({"access_key_id": s3.access_key_id(), "secret_access_key": {"env": SECRET}});
        json!({"endpoint": s3.endpoint(), "credentials": {"s3": keys}})
    }

    pub(crate) fn secret(&self) -> String {
        self.server.lock().secret_access_key().to_owned()
    }

    /// Uploads a file into `in`, and its marker after it. While the server is away that waits: an upload that was not acknowledged
    /// is no delivery.
    pub(crate) fn deliver(&self, from: &Path, name: &str, marker: Option<&str>) -> Outcome<()> {
        let content = std::fs::read(from).map_err(|e| format!("reading {}: {e}", from.display()))?;
        let at = |name: &str| object_store::path::Path::from(format!("{}/in/{name}", self.prefix));
        let marker = marker.map(|ending| at(&format!("{name}{ending}")));
        let (client, data) = (&self.server.client, at(name));
        let held = self.server.lock();
        let done: object_store::Result<()> = self.server.runtime.block_on(async {
            if let Some(marker) = &marker {
                client.delete(marker).await?;
            }
            client.put(&data, PutPayload::from(content)).await?;
            if let Some(marker) = &marker {
                client.put(marker, PutPayload::default()).await?;
            }
            Ok(())
        });
        drop(held);
        done.map_err(|e| format!("uploading {name}: {e}"))
    }
}
