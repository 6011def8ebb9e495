//! Named places where a test can make the process fail, hang, lose a reply or die. One build, faults chosen at run time.
//!
//! With the feature `failpoints`, `UNBATCH_FAILPOINTS` holds `name=action[@hit]` joined by `;`. Actions: `fail` (a Transient
//! error; placed *after* an action it is "done, but reported failed"), `kill` (the process ends at once, no destructor
//! runs), `hang` (this thread stops for ever), `delay:MS`. `@3`: only at the third time. Without the feature a
//! failpoint is nothing.

use crate::error::Result;

/// Passes a named place; see the module. The name is `<room>.<place>`, such as `topic.before_commit`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &'static str) -> Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub fn hit(name: &'static str) -> Result<()> {
    active::hit(name)
}

/// Whether the rule of this name (`K1`, `F2`, `file-duplicate`) is switched off, so that a test can be shown to fail without
/// it. `UNBATCH_SABOTAGE` holds names joined by `,`; without the feature no rule can be switched off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn sabotaged(_rule: &'static str) -> bool {
    false
}

#[cfg(feature = "failpoints")]
pub fn sabotaged(rule: &'static str) -> bool {
    active::sabotaged(rule)
}

#[cfg(feature = "failpoints")]
mod active {
    use crate::error::{Error, Result};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{OnceLock, PoisonError, RwLock};
    use std::time::Duration;

    #[derive(Clone, Copy)]
    enum Action {
        Fail,
        Kill,
        Hang,
        Delay(u64),
    }

    struct Armed {
        name: String,
        action: Action,
        at_hit: Option<u64>,
        hits: AtomicU64,
    }

    fn armed() -> &'static RwLock<Vec<Armed>> {
        static ARMED: OnceLock<RwLock<Vec<Armed>>> = OnceLock::new();
        ARMED.get_or_init(|| RwLock::new(parse(&std::env::var("UNBATCH_FAILPOINTS").unwrap_or_default())))
    }

    fn parse(text: &str) -> Vec<Armed> {
        text.split(';').filter(|t| !t.trim().is_empty()).filter_map(parse_one).collect()
    }

    fn parse_one(text: &str) -> Option<Armed> {
        let (name, rest) = text.trim().split_once('=')?;
        let (action, at_hit) = match rest.split_once('@') {
            Some((action, hit)) => (action, Some(hit.parse().ok()?)),
            None => (rest, None),
        };
        let action = match action.split_once(':') {
            Some(("delay", ms)) => Action::Delay(ms.parse().ok()?),
            None if action == "fail" => Action::Fail,
            None if action == "kill" => Action::Kill,
            None if action == "hang" => Action::Hang,
            _ => return None,
        };
        Some(Armed { name: name.into(), action, at_hit, hits: AtomicU64::new(0) })
    }

    pub(super) fn sabotaged(rule: &'static str) -> bool {
        static RULES: OnceLock<Vec<String>> = OnceLock::new();
        let rules = RULES.get_or_init(|| {
            let text = std::env::var("UNBATCH_SABOTAGE").unwrap_or_default();
            text.split(',').map(|r| r.trim().to_owned()).filter(|r| !r.is_empty()).collect()
        });
        rules.iter().any(|r| r == rule)
    }

    /// Replaces what is armed in this process; for tests that run the engine in-process.
    pub fn arm(text: &str) {
        *armed().write().unwrap_or_else(PoisonError::into_inner) = parse(text);
    }

    pub(super) fn hit(name: &'static str) -> Result<()> {
        let action = {
            let armed = armed().read().unwrap_or_else(PoisonError::into_inner);
            armed
                .iter()
                .filter(|a| a.name == name)
                .find(|a| {
                    let now = a.hits.fetch_add(1, Ordering::SeqCst) + 1;
                    a.at_hit.is_none_or(|at| at == now)
                })
                .map(|a| a.action)
        };
        match action {
            None => Ok(()),
            Some(Action::Fail) => Err(Error::transient("passing an armed failpoint failed").with("failpoint", name)),
            Some(Action::Kill) => std::process::abort(),
            Some(Action::Hang) => loop {
                std::thread::park();
            },
            Some(Action::Delay(ms)) => {
                std::thread::sleep(Duration::from_millis(ms));
                Ok(())
            }
        }
    }
}

#[cfg(feature = "failpoints")]
pub use active::arm;

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    #[test]
    fn an_armed_failpoint_fails_at_its_hit_only() {
        arm("test.place=fail@2");
        assert!(hit("test.place").is_ok());
        assert!(hit("test.other").is_ok());
        assert!(hit("test.place").is_err());
        assert!(hit("test.place").is_ok());
        arm("");
    }
}
