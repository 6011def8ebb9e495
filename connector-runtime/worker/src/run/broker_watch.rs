//! Whether the Kafka cluster of a run is there, asked by a knock every few seconds: a client that lost it is patient for a
//! minute before it says so, and a person should not have to be.

use crate::arguments::LogFormat;
use crate::durations::{duration, now_ms};
use crate::http::report::BrokerReport;
use crate::terminal::{Glyph, Output, Style, Terminal};
use futures::future::select_ok;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use unbatch_api::{Bound, Kind};
use unbatch_engine::{ONCE_FIRST_PATIENCE, SplitStatus, StatusBoard};

/// A broker that takes a connection does so sooner, or it is worth a word.
const KNOCK_TIME_MAX: Duration = Duration::from_secs(3);
/// Between knocks, whether it is there or away: for a broker one connection more every few seconds is nothing.
const KNOCK_PERIOD: Duration = Duration::from_secs(3);
/// Before the second knock when nobody answered the first: one that is lost is no broker that is away.
const DOUBT_PERIOD: Duration = Duration::from_secs(1);
/// What a broker is asked at where the configuration names no port.
const PORT_DEFAULT: u16 = 9092;

/// What is known of the cluster; clones know the same.
#[derive(Clone, Default)]
pub(crate) struct BrokerWatch(Arc<Watched>);

#[derive(Default)]
struct Watched {
    /// As `host:port`; none: there is nothing to watch.
    addresses: Vec<String>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    was_reached: bool,
    /// Since when it is away, and why; milliseconds since 1970.
    away: Option<(u64, String)>,
    /// From when to when it was away the last time.
    was_away: Option<(u64, u64)>,
}

/// Whom it is told.
pub(crate) struct Listener {
    pub(crate) terminal: Terminal,
    pub(crate) format: LogFormat,
    pub(crate) bound: Bound,
    /// Its splits try again once the cluster is back.
    pub(crate) board: StatusBoard,
}

impl BrokerWatch {
    pub(crate) fn of(addresses: &str) -> Self {
        let listed = addresses.split(',').map(str::trim).filter(|address| !address.is_empty());
        let addresses = listed.map(str::to_owned).collect();
        Self(Arc::new(Watched { addresses, seen: Mutex::default() }))
    }

    /// As status tells it; `None`: there is nothing to watch.
    pub(crate) fn report(&self) -> Option<BrokerReport> {
        if self.0.addresses.is_empty() {
            return None;
        }
        let away = self.seen().away.clone();
        let (away_since_ms, why) = away.map_or((None, None), |(since, why)| (Some(since), Some(why)));
        Some(BrokerReport { addresses: self.0.addresses.join(", "), away_since_ms, why })
    }

    /// Whether what is wrong with the split is that the cluster is or was away, which was told once for all.
    pub(crate) fn explains(&self, split: &SplitStatus) -> bool {
        let (Some(trouble), Some(past)) = (&split.trouble, &split.last_trouble) else { return false };
        let seen = self.seen();
        let was_away = |(from, to): (u64, u64)| (from..=to).contains(&past.at_ms);
        let is_explained = seen.away.is_some() || seen.was_away.is_some_and(was_away);
        trouble.kind == Kind::Transient && is_of_the_cluster(trouble.code) && is_explained
    }

    /// Knocks until it is dropped, and tells when the cluster goes and comes.
    pub(crate) async fn keep(self, listener: Listener) {
        if self.0.addresses.is_empty() {
            return;
        }
        // the one that answered last is asked first
        let mut addresses = self.0.addresses.clone();
        let mut doubted_since = None;
        loop {
            match knock_at_any(&mut addresses).await {
                Ok(()) => {
                    doubted_since = None;
                    self.answered(&listener);
                }
                Err(why) => {
                    let is_first = doubted_since.is_none();
                    let since = *doubted_since.get_or_insert_with(now_ms);
                    // an address that is wrong from the start is told at once
                    if !is_first || !self.seen().was_reached {
                        self.missed(since, in_words(&why), &listener);
                    } else {
                        sleep(DOUBT_PERIOD).await;
                        continue;
                    }
                }
            }
            sleep(KNOCK_PERIOD).await;
        }
    }

    fn answered(&self, listener: &Listener) {
        let mut seen = self.seen();
        let was_reached = std::mem::replace(&mut seen.was_reached, true);
        let Some((since, _)) = seen.away.take() else { return };
        let now = now_ms();
        seen.was_away = Some((since, now));
        drop(seen);
        let took = duration(now.saturating_sub(since));
        let (named, is) = (self.named(), if self.0.addresses.len() > 1 { "are" } else { "is" });
        let text = match was_reached {
            true => format!("{named} {is} back, after {took}"),
            false => format!("{named} reached, after {took}"),
        };
        listener.tell(Style::Green, Glyph::Good, &text);
        listener.board.try_now();
    }

    fn missed(&self, since: u64, why: String, listener: &Listener) {
        let mut seen = self.seen();
        if seen.away.is_some() {
            return;
        }
        seen.away = Some((since, why.clone()));
        let was_reached = seen.was_reached;
        drop(seen);
        let text = match (was_reached, listener.bound) {
            (true, bound) => {
                let away = self.report().and_then(|report| report.away()).unwrap_or_default();
                let then = match bound {
                    Bound::Continuous => "it goes on by itself when the broker is back",
                    Bound::Once => "it goes on when the broker is back soon, else the next run does",
                };
                format!("{away}: rows read so far wait, nothing is lost; {then}")
            }
            (false, bound) => {
                let patience = match bound {
                    Bound::Once => format!("trying for {} s", ONCE_FIRST_PATIENCE.as_secs()),
                    Bound::Continuous => "trying until it answers".to_owned(),
                };
                format!("no broker reached yet at {} ({why}): {patience}", self.0.addresses.join(", "))
            }
        };
        listener.tell(Style::Magenta, Glyph::Warning, &text);
    }

    fn named(&self) -> String {
        let plural = if self.0.addresses.len() > 1 { "s" } else { "" };
        format!("broker{plural} {}", self.0.addresses.join(", "))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error with this code may come from a cluster that is away: of a client, of the sink, or of a call that took too
/// long.
pub(crate) fn is_of_the_cluster(code: Option<&str>) -> bool {
    let mut of_kafka = unbatch_kafka_client::CODES.iter().chain(unbatch_kafka::CODES);
    code.is_some_and(|code| code == "U0501" || of_kafka.any(|(one, ..)| *one == code))
}

impl Listener {
    fn tell(&self, style: Style, glyph: Glyph, text: &str) {
        match (self.format, glyph) {
            (LogFormat::Json, Glyph::Warning) => tracing::warn!("{text}"),
            (LogFormat::Json, _) => tracing::info!("{text}"),
            (LogFormat::Text, _) => {
                let glyph = self.terminal.paint(Output::Progress, style, self.terminal.glyph(glyph));
                self.terminal.say_prose(&format!("{glyph} {text}"));
            }
        }
    }
}

/// Asks the first, and when that one does not answer all others at once; who answers is the first from then on.
async fn knock_at_any(addresses: &mut [String]) -> io::Result<()> {
    let Some(first) = addresses.first() else { return Ok(()) };
    let Err(why) = knock(first.clone()).await else { return Ok(()) };
    let others = addresses.iter().cloned().enumerate().skip(1);
    let knocks: Vec<_> = others.map(|(i, address)| Box::pin(async move { knock(address).await.map(|()| i) })).collect();
    if knocks.is_empty() {
        return Err(why);
    }
    let (answered, _) = select_ok(knocks).await?;
    addresses.swap(0, answered);
    Ok(())
}

/// A connection that is closed at once: whoever takes it is there, whatever login it would ask for.
async fn knock(address: String) -> io::Result<()> {
    let host_end = address.rfind(']').unwrap_or(0);
    let address = match address[host_end..].contains(':') {
        true => address,
        false => format!("{address}:{PORT_DEFAULT}"),
    };
    match timeout(KNOCK_TIME_MAX, TcpStream::connect(address)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The kind of an error says more than the system's words and number, where it has one; a name that nobody knows has none.
fn in_words(error: &io::Error) -> String {
    let kind = error.kind().to_string();
    if kind == "uncategorized error" { error.to_string() } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    fn listener() -> Listener {
        let (terminal, board) = (Terminal::detect(true), StatusBoard::default());
        Listener { terminal, format: LogFormat::Text, bound: Bound::Continuous, board }
    }

    async fn wait_until(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_cluster_is_away_when_no_broker_of_it_answers_and_back_when_one_does() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (a, b) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let watch = BrokerWatch::of(&format!("{a}, {b}"));
        let away = || watch.report().unwrap().away();
        let keeper = tokio::spawn(watch.clone().keep(listener()));
        wait_until("the first knock", || watch.seen().was_reached).await;
        assert_eq!(away(), None);
        drop(first);
        // the other one is enough
        assert!(second.accept().await.is_ok());
        assert_eq!(away(), None);
        drop(second);
        wait_until("the loss", || away().is_some()).await;
        let said = away().unwrap();
        assert!(said.starts_with(&format!("brokers {a}, {b} away since ")), "{said}");
        assert!(said.ends_with(" (connection refused)"), "{said}");
        let _again = TcpListener::bind(b).await.unwrap();
        wait_until("the return", || away().is_none()).await;
        assert!(watch.seen().was_away.is_some());
        keeper.abort();
    }

    #[tokio::test]
    async fn without_an_address_there_is_nothing_to_watch() {
        let watch = BrokerWatch::default();
        watch.clone().keep(listener()).await;
        assert!(watch.report().is_none());
        assert_eq!(BrokerWatch::of(" a:1 ,, b ").report().unwrap().addresses, "a:1, b");
    }
}
