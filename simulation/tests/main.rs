//! Worlds that every change has to survive.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use parking_lot::Mutex;
use simulation::{BUDGETED, SELF_CONTAINED, Telling, simulate, simulate_all};

/// As many as `./dev test` has time for; `./dev simulate` takes others.
const SEEDS: u64 = 300;

/// So many of them are of worlds with budgets.
const WITH_BUDGETS: u64 = 80;

/// So many are of worlds in which runs go on before they are recorded.
const SELF_CONTAINED_ONES: u64 = 60;

/// Seeds beyond those that showed a defect when it was found; docs/reliability.md says which.
const FOUND: [u64; 21] = [
    485,
    540,
    594,
    595,
    637,
    690,
    695,
    1011,
    1051,
    1122,
    1289,
    1531,
    1699,
    1925,
    2178,
    6979,
    50_146,
    4_294_987_343,
    4_295_017_907,
    8_589_935_627,
    8_589_936_312,
];

/// Everything that happens to runs, tasks, slots, limits, holds, budgets and purses. Not `run.stalled`, which never must. Nor
/// `task.attempt_late`: the engine cuts the calls of tasks that end, and a node that was replaced drops their answers.
const KINDS: &str = "run.started run.claimed run.queued run.admitted run.step_started run.items_planned \
    run.item_started run.item_completed run.item_failed run.approval_requested run.approval_decided \
    run.approval_expired run.timer_started run.signal_awaited run.signal_received run.child_started \
    run.child_abandoned run.step_skipped run.step_completed run.step_failed run.step_cancelled run.paused run.resumed \
    run.cancel_requested run.failing run.compensation_started run.compensation_completed run.compensation_failed \
    run.completed run.failed run.cancelled task.created task.assigned task.queued task.attempt_started \
    task.attempt_succeeded task.attempt_failed task.attempt_lost task.postponed task.deferred task.completed \
    task.failed task.cancelled slots.requested slots.granted slots.released limit.set limit.removed hold.placed \
    hold.lifted budget.set budget.removed purse.reserved purse.settled purse.warned";

/// Everything that can go wrong with nodes.
const FAULTS: [&str; 8] =
    ["dies", "freezes", "has ended", "is cut off", "is killed", "is misled", "is refused", "is stopped"];

#[test]
fn everything_happens_and_everything_holds() {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (runs, failed) = (Mutex::new(0), Mutex::new(Vec::new()));
    let (kinds, faults) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let plain = 0..SEEDS - WITH_BUDGETS - SELF_CONTAINED_ONES;
    let special = (BUDGETED..BUDGETED + WITH_BUDGETS).chain(SELF_CONTAINED..SELF_CONTAINED + SELF_CONTAINED_ONES);
    let seeds = plain.chain(special).chain(FOUND);
    simulate_all(seeds, threads, |report| {
        *runs.lock() += report.runs;
        kinds.lock().extend(report.kinds.into_keys());
        faults.lock().extend(report.faults.into_keys());
        if let Some(violation) = report.violations.first() {
            failed.lock().push(format!("seed {}: {violation}", report.seed));
        }
        true
    })
    .unwrap();
    let failed = failed.into_inner();
    assert!(failed.is_empty(), "`./dev simulate --replay SEED` shows what happens\n{}", failed.join("\n"));
    assert!(*runs.lock() > 1000, "worlds in which nothing happens prove nothing");
    let kinds = kinds.into_inner();
    let missing: Vec<&str> = KINDS.split_whitespace().filter(|kind| !kinds.contains(*kind)).collect();
    assert!(missing.is_empty(), "in no world there was any {missing:?}");
    assert_eq!(faults.into_inner(), BTreeSet::from(FAULTS));
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    for seed in (1000..1012).chain(BUDGETED + 1000..BUDGETED + 1004).chain(SELF_CONTAINED + 1000..SELF_CONTAINED + 1004)
    {
        let first = simulate(seed, Telling::Nothing).unwrap();
        let second = simulate(seed, Telling::Nothing).unwrap();
        assert_eq!((first.digest, first.events), (second.digest, second.events), "seed {seed}");
        assert_ne!(first.digest, simulate(seed + 100, Telling::Nothing).unwrap().digest);
    }
}
