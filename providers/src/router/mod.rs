//! What decides where a call goes: pure state machines, without clock, chance or I/O.
//!
//! Whoever makes calls asks the [`Route`] of a request whom to call after what was tried, and records every call: the
//! route keeps nothing. [`Breakers`] and [`Pace`] are shared among the requests of a process and say where not to go
//! for a while and how much at once. Time comes in as an argument. When to call again is decided by whoever calls.

mod breaker;
mod capability;
mod keys;
mod pace;
mod route;

pub use breaker::{Admission, BreakerOptions, Breakers, Phase, Verdict};
pub use capability::{Lack, Needs};
pub use keys::KeyRing;
pub use pace::{Pace, PaceOptions, Turn};
pub use route::{Rest, Route, SkipReason, Skipped, Step, Target, Tried, Why};
