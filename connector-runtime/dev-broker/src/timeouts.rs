//! What happens by itself, by the clock: evictions, aborts, cleaning.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::broker::Broker;
use crate::cleaner;
use crate::groups;
use crate::replay;
use crate::transactions;

/// How late a time-out may be noticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Every so many looks the cleaner runs.
const LOOKS_PER_CLEANING: u32 = 4;

/// Looks after the broker until it stops.
pub(crate) fn spawn(broker: Arc<Broker>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("dev-broker-clock".into()).spawn(move || {
        let mut looks = 0u32;
        while broker.sleep(LOOK_EVERY) {
            looks = looks.wrapping_add(1);
            // A failure to write the log has failed the broker as a whole.
            let _ = look(&broker, looks.is_multiple_of(LOOKS_PER_CLEANING));
        }
    })
}

fn look(broker: &Broker, cleaning: bool) -> io::Result<()> {
    let mut state = broker.usable_state()?;
    if groups::evict_silent(&mut state) {
        broker.wake_groups();
    }
    transactions::abort_timed_out(&mut state)?;
    if cleaning {
        cleaner::clean_and_record(&mut state)?;
        replay::rewrite_while_running(&mut state)?;
    }
    Ok(())
}
