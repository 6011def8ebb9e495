//! The broker goes away by SIGKILL and comes back with what it had acknowledged.

use rand::Rng;

use super::drop_some;
use crate::Outcome;
use crate::moment::Moment;
use crate::round::{Round, Start};

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    if !round.site.may_crash() {
        return Err("the broker of this site may not be killed".to_owned());
    }
    let proxied = round.rng.random_bool(0.5);
    let mut owner = round.start(Start { proxied, ..Start::default() });
    // Apache Kafka looks through the logs of all partitions when it comes back, which takes half a minute
    let most = if round.site.is_embedded() { 2 } else { 1 };
    for _ in 0..round.rng.random_range(1..=most) {
        drop_some(round, 0)?;
        let moment = Moment::draw(&mut round.rng, &owner);
        moment.wait(round, &mut owner);
        let dies_too = round.rng.random_bool(0.3);
        round.note(format!("the broker is killed at: {moment}{}", if dies_too { ", and the owner" } else { "" }));
        round.site.broker().crash();
        drop_some(round, 0)?;
        if dies_too {
            round.kill(owner)?;
            round.site.broker().revive();
            owner = round.start(Start { proxied, ..Start::default() });
        } else {
            round.site.broker().revive();
        }
    }
    round.drops.drop_files(usize::MAX)?;
    round.recovered(&mut owner)?;
    round.stop(owner)
}
