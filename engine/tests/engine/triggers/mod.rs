//! Triggers over a journal in memory, with time that is wound on: hours pass in milliseconds, and the engine is the real
//! one.

mod events;
mod nodes;
mod schedules;
mod stage;
