//! A pipeline that is broken for good, beside others that are not: nobody else may notice.

use crate::plan::Plan;
use crate::simulation::{Sabotage, Simulation, Violation, on_its_own_clock};
use std::time::Duration;
use tokio::time::Instant;
use unbatch_api::Bound;
use unbatch_api::testkit::{Fault, Faults, Place};
use unbatch_engine::{SplitState, StatusBoard, start};

/// The engine lets splits wait for each other's fences for five seconds at most; nothing else may make them wait.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Runs the plan's pipelines to their end, the first of them always with this fault at this place, then heals it.
pub fn isolate(plan: &Plan, place: Place, fault: Fault) -> Result<(), Violation> {
    let mut calm = plan.clone();
    for pipeline in &mut calm.pipelines {
        pipeline.faulty = None;
        // the end of a bounded run must not depend on when rows come
        for part in &mut pipeline.parts {
            part.early = part.transactions.len();
        }
    }
    let alone = on_its_own_clock(&calm, others_end(&calm, None))?;
    let beside = on_its_own_clock(&calm, others_end(&calm, Some((place, fault))))?;
    let waited = beside.saturating_sub(alone);
    if waited > WAIT_MAX {
        let seen = format!("the others took {beside:?} beside a pipeline broken at {place:?}, {alone:?} without");
        return Err(Violation { seed: plan.seed, seen: vec![seen] });
    }
    Ok(())
}

/// How long all pipelines but the first take.
async fn others_end(plan: &Plan, broken: Option<(Place, Fault)>) -> Result<Duration, Vec<String>> {
    let simulation = Simulation::new(plan, Sabotage::None).map_err(|e| vec![e])?;
    let first = simulation.specs[0].name.clone();
    if let Some((place, fault)) = broken {
        simulation.world.set_faults(&first, Faults::always(place, fault));
    }
    let began = Instant::now();
    let board = StatusBoard::default();
    let mut running = start(simulation.specs.clone(), simulation.scene(Bound::Once), board.clone()).await;
    let mut last = began;
    let mut to_come: usize =
        simulation.specs[1..].iter().zip(&plan.pipelines[1..]).map(|(_, p)| p.splits as usize).sum();
    while to_come > 0 {
        let Some(ended) = running.next_end().await else {
            return Err(vec!["all pipelines ended, and some never said so".into()]);
        };
        if ended.pipeline == first {
            continue;
        }
        if !ended.errors.is_empty() {
            simulation.report(format!("beside a broken pipeline {} ended with {:?}", ended.pipeline, ended.errors));
        }
        to_come -= 1;
        last = Instant::now();
    }
    for split in board.snapshot().iter().filter(|p| p.pipeline != first.as_str()).flat_map(|p| &p.splits) {
        if split.attempt != 1 || split.state != SplitState::Finished {
            simulation.report(format!("beside a broken pipeline {split:?} did not go straight to its end"));
        }
    }
    drop(running);
    simulation.heal_and_end().await?;
    Ok(last - began)
}
