//! Work: the readers of the journal that act.
//!
//! The engine follows the journal, takes runs that were started, and drives each one: it starts the steps that can
//! start, calls platforms, records what came back together with what starts next, waits for retries, people, times,
//! signals, limits and other runs, and stops when asked. All that it knows can be rebuilt from events at any moment;
//! that is what resume means.
//!
//! Invariants: an attempt is recorded before its platform is called and settled after; what finished and what starts
//! next are one append; every append of a run names the expected revision of what it changes, so an owner that was
//! replaced is refused; a live run always has a call, a timer or an event to wait for; a slot of a limit is given back
//! in the append that records the end of its holder.

mod ahead;
mod cache;
mod call;
mod dispatch;
mod driver;
mod drivers;
mod guard;
mod health;
pub mod judge;
mod known;
mod launch;
mod limits;
mod plan;
mod probes;
pub mod reading;
mod recorded;
mod residency;
mod review;
mod service;
mod stage;
mod standing;
mod traffic;
pub mod triggers;
mod way;

pub use cache::{Answer, AnswerKey, Answers, Cache, CacheMode, CachePolicy, MemoryAnswers};
pub use call::cost_source;
pub use guard::Redaction;
pub use health::{LineHealth, ProbeHealth, SeenFailure};
pub use limits::{Limits, PlatformLimits, Rate, SharedCall, SharedLimits, SharedTurn};
pub use residency::Residency;
pub use service::{Engine, Error, Handle, Options};
