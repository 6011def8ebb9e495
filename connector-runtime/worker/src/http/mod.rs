//! The HTTP API of a worker: what it does, numbers for Prometheus, and two probes. It shows counts, codes and times, never a
//! cell value or a secret. It has no login yet, so it listens on loopback only.

mod exposition;
pub(crate) mod question;
pub(crate) mod report;

use crate::durations::now_ms;
use crate::run::broker_watch::BrokerWatch;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use unbatch_api::{Error, Kind, Result};
use unbatch_engine::{SplitState, StatusBoard};

/// Where the API listens when the runtime file does not say.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8083";
/// Histograms gather observations between two scrapes; they are folded at least this often.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);
/// How often a port that another process has is tried again.
const PORT_RETRY: Duration = Duration::from_secs(2);
/// Requests in progress get this long when the worker ends.
const CLOSE_TIME_MAX: Duration = Duration::from_millis(500);
/// Upper bounds of `unbatch_commit_seconds`.
const COMMIT_SECONDS: [f64; 11] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A running server. Dropping it closes the port.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

/// What a worker tells of.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) board: StatusBoard,
    pub(crate) broker: BrokerWatch,
}

#[derive(Clone)]
struct Context {
    told: Told,
    started_ms: u64,
    metrics: PrometheusHandle,
}

/// Binds `listen`, starts counting and answers until the server is closed.
///
/// # Errors
///
/// Misconfigured when the address is not a loopback one; Transient when it cannot be bound.
pub(crate) async fn serve(listen: &str, told: Told) -> Result<Server> {
    let addr = loopback(listen)?;
    // before the port is had: what is counted meanwhile is shown later
    let metrics = record_metrics()?;
    let listener = TcpListener::bind(addr).await.map_err(|cause| not_had(addr, cause))?;
    let addr = listener.local_addr().map_err(|e| Error::transient("listening for HTTP failed").caused_by(e))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let app = router(Context { told, started_ms: now_ms(), metrics: metrics.clone() });
    let serving = tokio::spawn(async move {
        let ended = axum::serve(listener, app).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "the HTTP API ended");
        }
    });
    let upkeep = tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_PERIOD).await;
            metrics.run_upkeep();
        }
    });
    Ok(Server { addr, stop, serving, upkeep })
}

/// Waits for the port, as the newer of two runs does until the older one has gone.
pub(crate) async fn serve_when_free(listen: String, told: Told) {
    loop {
        tokio::time::sleep(PORT_RETRY).await;
        match serve(&listen, told.clone()).await {
            Ok(server) => {
                tracing::info!(address = %server.addr, "the HTTP API listens now");
                return server.wait().await;
            }
            Err(error) if error.kind() == Kind::Transient => {}
            Err(error) => return tracing::warn!(error = %error.one_line(), "there is no HTTP API"),
        }
    }
}

impl Server {
    /// Answers until this is dropped.
    async fn wait(self) {
        let Self { stop, serving, upkeep, .. } = self;
        let _ = serving.await;
        upkeep.abort();
        drop(stop);
    }

    pub(crate) async fn close(self) {
        self.upkeep.abort();
        let _ = self.stop.send(());
        let mut serving = self.serving;
        if tokio::time::timeout(CLOSE_TIME_MAX, &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

/// The address, when only this machine can reach it.
pub(crate) fn loopback(listen: &str) -> Result<SocketAddr> {
    let refused = |message: &str, help: &str| {
        Err(Error::misconfigured(message).code("U0710").with("http.listen", listen).help(help))
    };
    let listen_at = listen.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    match listen_at.as_deref().unwrap_or(listen).parse::<SocketAddr>() {
        Ok(addr) if addr.ip().is_loopback() => Ok(addr),
        Ok(_) => refused(
            "listening for HTTP on an address that others can reach is not allowed, since the API has no login yet",
            "listen on 127.0.0.1 and put a proxy with a login in front",
        ),
        Err(_) => refused("reading the HTTP address failed", "write it as 127.0.0.1:8083"),
    }
}

/// The usual reason is said in words, which the system's own add nothing to.
fn not_had(addr: SocketAddr, cause: io::Error) -> Error {
    let is_taken = cause.kind() == io::ErrorKind::AddrInUse;
    let error = match is_taken {
        true => {
            Error::transient("listening for HTTP failed, another program, perhaps another `unbatch run`, has the port")
        }
        false => Error::transient("listening for HTTP failed"),
    };
    let error = error
        .code("U0711")
        .with("address", addr)
        .help("set `http.listen` in unbatch.yaml to an address with a free port, or run with `--no-http`");
    if is_taken { error } else { error.caused_by(cause) }
}

/// Counts from now on; a process has one such place.
fn record_metrics() -> Result<PrometheusHandle> {
    static RECORDED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorded = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*recorded {
        return Ok(handle.clone());
    }
    let failed = |e: metrics_exporter_prometheus::BuildError| Error::bug("starting the metrics failed").caused_by(e);
    let matcher = Matcher::Full("unbatch_commit_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(matcher, &COMMIT_SECONDS).map_err(failed)?;
    Ok(recorded.insert(builder.install_recorder().map_err(failed)?).clone())
}

fn router(context: Context) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(unknown)
        .with_state(context)
}

async fn status(State(cx): State<Context>) -> Response {
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_ms": cx.started_ms,
        "resident_bytes": exposition::resident_bytes(),
        "broker": cx.told.broker.report(),
        "pipelines": cx.told.board.snapshot(),
    });
    Json(answer).into_response()
}

async fn metrics(State(cx): State<Context>) -> Response {
    let mut text = cx.metrics.render();
    text.push_str(&exposition::of(&cx.told.board.snapshot(), cx.told.broker.report().as_ref()));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Ready when every split is open or has ended well, and the broker is there.
async fn ready(State(cx): State<Context>) -> Response {
    let statuses = cx.told.board.snapshot();
    let splits = statuses.iter().flat_map(|p| &p.splits);
    let waiting: Vec<String> = splits
        .filter(|s| !matches!(s.state, SplitState::Running | SplitState::Finished | SplitState::Stopped))
        .map(|s| s.split.clone())
        .collect();
    let away = cx.told.broker.report().and_then(|broker| broker.away());
    let is_ready = waiting.is_empty() && !statuses.is_empty() && away.is_none();
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"ready": is_ready, "waiting_for": waiting, "reason": away}))).into_response()
}

async fn unknown() -> Response {
    let known = ["/api/v1/status", "/metrics", "/livez", "/readyz"];
    (StatusCode::NOT_FOUND, Json(json!({"error": "no such page", "pages": known}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_listened_on() {
        for good in ["127.0.0.1:8083", "[::1]:80", "127.8.8.8:0", "localhost:8083"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0:8083", "10.0.0.7:8083", "8083", "example.org:80"] {
            let error = loopback(bad).unwrap_err();
            assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0710")), "{bad}");
        }
    }

    #[tokio::test]
    async fn answers_probes_status_and_metrics_and_tells_of_a_taken_port() {
        let server = serve("127.0.0.1:0", Told::default()).await.unwrap();
        let address = server.addr.to_string();
        let ask = async |page: &str| question::get(&address, page).await.unwrap();
        assert_eq!(ask("/livez").await, (200, "ok\n".to_owned()));
        let (code, body) = ask("/readyz").await;
        assert_eq!((code, body.contains("\"ready\":false")), (503, true), "{body}");
        let (code, body) = ask("/api/v1/status").await;
        let status: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, status["pipelines"].clone()), (200, json!([])));
        let (code, body) = ask("/metrics").await;
        assert_eq!((code, body.contains("unbatch_build_info")), (200, true), "{body}");
        assert_eq!(ask("/nowhere").await.0, 404);
        let taken = serve(&address, Told::default()).await.err().unwrap();
        assert_eq!((taken.kind(), taken.code_text()), (Kind::Transient, Some("U0711")));
        let told = taken.one_line();
        assert!(told.contains("perhaps another `unbatch run`") && !told.contains("os error"), "{told}");
        server.close().await;
        assert!(question::get(&address, "/livez").await.is_err());
    }

    /// The newer of two runs has the API once the older one has gone.
    #[tokio::test]
    async fn a_port_that_is_taken_is_had_when_it_is_free() {
        let older = serve("127.0.0.1:0", Told::default()).await.unwrap();
        let address = older.addr.to_string();
        let newer = tokio::spawn(serve_when_free(address.clone(), Told::default()));
        older.close().await;
        let answers = async {
            while question::get(&address, "/livez").await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answers).await.unwrap();
        newer.abort();
    }
}
