//! Choosing: which template does what a person asks for, what has to be asked back, and which agent does the work.
//!
//! Templates are found by their words (BM25F over stems, pairs of stems and parts of words, in English and Arabic) and,
//! where a model of meaning is at hand, by what they mean; the two are added up. Agents are scored by five factors.
//! Nothing here knows a clock, a database or the network, and the same input gives the same answer.
//!
//! Invariants: every score lies between 0 and 1. No agent is chosen that is switched off, or that cannot do the work
//! and is not a general-purpose one. Every choice keeps all candidates with their factors, and says why.

mod agents;
mod bm25;
mod encoder;
mod evaluation;
mod kept;
mod library;
mod meaning;
mod parameters;
mod reading;
mod words;

pub use ::words::normalise;
pub use agents::{
    Average, Candidate, Choice, Considered, Exclusion, Factors, History, Policy, Reason, Roster, State, Task, choose,
};
pub use encoder::{Encoder, EncoderError};
pub use evaluation::{Question, QuestionError};
pub use kept::Kept;
pub use library::{Asks, Found, Library, Match, Request, Weights, field_names};
pub use meaning::{Meaning, MeaningError, Vector};
pub use parameters::{Missing, missing};
pub use reading::{ModelAnswer, ReadBy, ReadParameter, read, supported};
