//! A broken split never touches another.

use std::time::Duration;
use unbatch_api::testkit::{Fault, Place};
use unbatch_simulation_tests::{Plan, isolate};

#[test]
fn a_pipeline_that_is_broken_for_good_touches_no_other() {
    let forever = Fault::Hang(Duration::from_secs(30 * 24 * 3600));
    let plans: Vec<Plan> = (1..200).map(Plan::of).filter(|plan| plan.pipelines.len() > 1).take(8).collect();
    assert_eq!(plans.len(), 8);
    for plan in &plans {
        for place in Place::ALL {
            for fault in [Fault::Fail, Fault::LoseReply, forever] {
                isolate(plan, place, fault).unwrap_or_else(|e| panic!("{fault:?} at {place:?}: {e:?}"));
            }
        }
    }
}
