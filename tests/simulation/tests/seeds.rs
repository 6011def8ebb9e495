//! Thousands of seeds: whatever goes wrong, every row arrives exactly once and in order.

use std::sync::atomic::{AtomicU64, Ordering};
use unbatch_simulation_tests::{Plan, Sabotage, Summary, seeds, simulate};

#[test]
fn every_row_arrives_exactly_once_in_order_whatever_goes_wrong() {
    let seeds = seeds().0;
    eprintln!("seeds {seeds:?}");
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        let mut total = Summary::default();
        let mut violations = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || violations.len() > 3 {
                return (total, violations);
            }
            match simulate(&Plan::of(seed), Sabotage::None) {
                Ok(one) => add(&mut total, one),
                Err(violation) => violations.push(violation),
            }
        }
    };
    let (mut total, mut violations) = (Summary::default(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (one, seen) = worker.join().unwrap();
            add(&mut total, one);
            violations.extend(seen);
        }
    });
    eprintln!("{total:?}");
    assert!(violations.is_empty(), "{violations:#?}");
    // the simulation must not pass by doing nothing
    let count = seeds.end - seeds.start;
    assert!(total.rows > count && total.epochs > 0, "{total:?}");
    assert!(count < 100 || (total.faults > count && total.fenced > 0), "{total:?}");
}

fn add(total: &mut Summary, one: Summary) {
    total.rows += one.rows;
    total.epochs += one.epochs;
    total.faults += one.faults;
    total.owners += one.owners;
    total.fenced += one.fenced;
}
