//! Which agent does the work.
//!
//! Score = 40 % capability + 25 % quality + 15 % availability + 10 % cost + 10 % speed, each between 0 and 1
//! ([`Factors`]). What is not known about an agent is taken to be as with the others who can do the work, so a new agent
//! is neither the best nor the worst; the more it has done, the more its own history counts, and what is long ago counts
//! less. Among agents that score the same to the policy's margin, the one with the least to do gets the work.

mod choose;
mod history;
mod record;
mod roster;
#[cfg(test)]
mod tests;

pub use choose::{Candidate, Choice, Considered, Exclusion, Factors, Policy, Reason, State, Task, choose};
pub use history::{Average, History};
pub use roster::Roster;
