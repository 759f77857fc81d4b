//! Deterministic simulation: the real engine, several nodes of it in one process, in a world where time, chance, the
//! journal's behaviour, platforms and people all follow from one seed.
//!
//! In each world random workflows of every kind of step run under random faults: processes die between any two awaits
//! and at every append, freeze and wake up, are cut off from the journal, are told late or wrongly who else is alive;
//! the journal answers late, fails, or cannot say what it did; subscriptions lag and break; platforms fail, hang and
//! panic; people pause, cancel, signal, approve, branch and limit runs, and repeat their commands; some worlds have budgets, in some a
//! platform answers out of itself. Then nothing goes
//! wrong any more, people do what is asked of them, and everything must come to its end. [`check`] says what is
//! compared with what.
//!
//! Invariants: nothing here reads a clock or draws a number that does not follow from the seed; what fails is what the
//! ports of the journal and of platforms allow to fail, and nothing else. The same seed gives the same journal, byte
//! for byte.

mod budgets;
mod catalog;
mod check;
mod condition;
mod dice;
mod kind;
mod nodes;
mod people;
mod platforms;
mod source;
mod store;
mod trace;
mod weather;
mod world;

use std::num::NonZeroUsize;

use parking_lot::Mutex;

pub use kind::{BUDGETED, SELF_CONTAINED};
pub use nodes::Tally;
pub use trace::{Line, Telling};
pub use world::{Report, simulate};

/// Lives through the worlds of many seeds, on so many threads; `seen` gets each report, in no order. Ends early when
/// `seen` says so.
///
/// # Errors
/// When a world cannot be made at all.
pub fn simulate_all(
    seeds: impl IntoIterator<Item = u64, IntoIter: Send>,
    threads: NonZeroUsize,
    seen: impl Fn(Report) -> bool + Sync,
) -> std::io::Result<()> {
    let left = Mutex::new(Some(seeds.into_iter()));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                loop {
                    let Some(seed) = left.lock().as_mut().and_then(Iterator::next) else { return };
                    let goes_on = match simulate(seed, Telling::Nothing) {
                        Ok(report) => seen(report),
                        Err(error) => {
                            *failed.lock() = Some(error);
                            false
                        }
                    };
                    if !goes_on {
                        *left.lock() = None;
                    }
                }
            });
        }
    });
    failed.into_inner().map_or(Ok(()), Err)
}
