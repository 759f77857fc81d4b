//! Texts that are found by their words: what PostgreSQL keeps of them, what it is asked, and where the words stand.
//!
//! The words are made here and not by PostgreSQL, whose parser takes most of the time of writing a text, and of which
//! spellings of Arabic never meet. Invariants: no text makes a batch fail, and no question does; a word is found by
//! whatever becomes the same form ([`words`]), because texts and questions are read by the same code.

mod asked;
mod excerpt;
mod vector;

pub(crate) use asked::Asked;
pub(crate) use excerpt::excerpt;
pub(crate) use vector::{Shared, Vector, Vectors, Weight};
