//! Worlds that every change has to survive.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;

use parking_lot::Mutex;
use simulation::{Telling, simulate, simulate_all};

/// As many as `./dev test` has time for; `./dev simulate` takes others.
const SEEDS: u64 = 240;

/// Seeds beyond those that showed a defect when it was found; docs/reliability.md says which.
const FOUND: [u64; 16] = [485, 540, 594, 595, 637, 690, 695, 1011, 1051, 1122, 1289, 1531, 1699, 1925, 2178, 6979];

#[test]
fn everything_holds_in_every_world() {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (runs, failed) = (Mutex::new(0), Mutex::new(Vec::new()));
    simulate_all((0..SEEDS).chain(FOUND), threads, |report| {
        *runs.lock() += report.runs;
        if let Some(violation) = report.violations.first() {
            failed.lock().push(format!("seed {}: {violation}", report.seed));
        }
        true
    })
    .unwrap();
    let failed = failed.into_inner();
    assert!(failed.is_empty(), "`./dev simulate --replay SEED` shows what happens\n{}", failed.join("\n"));
    assert!(*runs.lock() > 1000, "worlds in which nothing happens prove nothing");
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    for seed in 1000..1012 {
        let first = simulate(seed, Telling::Nothing).unwrap();
        let second = simulate(seed, Telling::Nothing).unwrap();
        assert_eq!((first.digest, first.events), (second.digest, second.events), "seed {seed}");
        assert_ne!(first.digest, simulate(seed + 100, Telling::Nothing).unwrap().digest);
    }
}
