//! Words: from a text to the forms by which it is found, in English and Arabic, and as it is written in every other
//! language.
//!
//! Nobody has to say in which language a text is; the script of each word says by which rules its form is made. Nothing
//! here knows a clock, a database or the network, and the same text always has the same forms.
//!
//! Invariants: whatever the text, it is read without failing; a form is not empty, is no longer than [`LONGEST`] bytes, and
//! has no character but letters, digits and marks, so it needs no quoting anywhere.

mod functions;
mod lexicon;
mod pieces;
mod spelling;

pub use lexicon::{Form, LONGEST, Lexicon, Token};
pub use spelling::{Stems, is_arabic, normalise, without_particles};
