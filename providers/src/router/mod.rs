//! What decides where a call goes and whether it is repeated: pure state machines, without clock, chance or I/O.
//!
//! Whoever makes calls owns one [`Route`] per request, asks it for the next step and tells it what became of each. It
//! is the only place that retries, so every attempt can be recorded. [`Breakers`] and [`Pace`] are shared among the
//! requests of a process and say where not to go for a while and how much at once. Time and chance come in as
//! arguments.

mod breaker;
mod capability;
mod keys;
mod pace;
mod route;

pub use breaker::{Admission, BreakerOptions, Breakers, Verdict};
pub use capability::{Lack, Needs};
pub use keys::KeyRing;
pub use pace::{Pace, PaceOptions, Turn};
pub use route::{Exhausted, Fallbacks, Policy, Route, SkipReason, Skipped, Step, Target, Tried};
