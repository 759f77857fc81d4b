//! The words of a text as PostgreSQL keeps them: a `tsvector` in its binary form.
//!
//! That is (`tsvectorsend` in PostgreSQL's `tsvector.c`): the number of lexemes; for each its text with a NUL behind it, the
//! number of its positions, and these, in order, with their weight in the upper two bits. Numbers are big-endian. Lexemes
//! are sorted by their bytes. The limits are PostgreSQL's: it refuses what is beyond them.

use std::mem;

use parking_lot::Mutex;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};
use words::{Form, Lexicon, Token};

/// The last position; words behind it are found, and stand there.
const LAST: u16 = (1 << 14) - 1;
/// How many positions a lexeme has; where it stands again after that is not kept.
const POSITIONS: u16 = 256;
/// How large the lexemes and positions become together, in bytes. PostgreSQL takes a little less than 1 MiB, and two of them
/// may be joined.
const LARGEST: usize = 500_000;

/// What a word counts, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// In what a text is called.
    A,
    /// In the text.
    B,
}

impl Weight {
    fn bits(self) -> u16 {
        match self {
            Self::A => 3 << 14,
            Self::B => 2 << 14,
        }
    }
}

/// A `tsvector`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vector(Vec<u8>);

impl Type<Postgres> for Vector {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(3614))
    }
}

impl PgHasArrayType for Vector {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(3643))
    }
}

impl Encode<'_, Postgres> for Vector {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        self.0.len()
    }
}

/// Makes vectors, and remembers the words from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    lexicon: Lexicon,
    tokens: Vec<Token>,
    /// For each form, the last text in which it stood and its place among the lexemes of that.
    seen: Vec<(u32, u32)>,
    text: u32,
    lexemes: Vec<Lexeme>,
    positions: Vec<Position>,
}

/// A form in the text at hand.
#[derive(Debug, Clone, Copy)]
struct Lexeme {
    form: Form,
    count: u16,
    first: u32,
    last: u32,
}

/// Where it stands, and which of the positions is its next.
#[derive(Debug, Clone, Copy)]
struct Position {
    at: u16,
    weight: Weight,
    next: u32,
}

impl Vectors {
    /// The words of several parts of a text, one after the other. No phrase goes on from one part to the next.
    pub(crate) fn of(&mut self, parts: &[(Weight, &str)]) -> Vector {
        if self.lexicon.forget() {
            self.seen.clear();
        }
        self.text = self.text.checked_add(1).unwrap_or_else(|| {
            self.seen.clear();
            1
        });
        self.lexemes.clear();
        self.positions.clear();
        let mut tokens = mem::take(&mut self.tokens);
        let (mut at, mut size) = (0_u16, 0);
        for (weight, part) in parts {
            tokens.clear();
            self.lexicon.read(part, &mut tokens);
            self.seen.resize(self.lexicon.len(), (0, 0));
            for token in &tokens {
                at = at.saturating_add(1).min(LAST);
                if let Some(form) = token.form {
                    self.stands(form, at, *weight, &mut size);
                }
            }
            at = at.saturating_add(1).min(LAST);
        }
        self.tokens = tokens;
        self.written(size)
    }

    /// A form stands somewhere.
    fn stands(&mut self, form: Form, at: u16, weight: Weight, size: &mut usize) {
        let place = u32::try_from(self.positions.len()).unwrap_or(u32::MAX);
        let Some(seen) = self.seen.get_mut(form.number()) else { return };
        let known = if seen.0 == self.text { self.lexemes.get_mut(seen.1 as usize) } else { None };
        if let Some(lexeme) = known {
            let Some(last) = self.positions.get_mut(lexeme.last as usize) else { return };
            if last.at == at || lexeme.count == POSITIONS || *size + 2 > LARGEST {
                return;
            }
            last.next = place;
            lexeme.last = place;
            lexeme.count += 1;
            *size += 2;
        } else {
            // The text, to an even length, and the number of positions with the first of them.
            let length = self.lexicon.form(form).len().next_multiple_of(2) + 4;
            if *size + length > LARGEST {
                return;
            }
            *seen = (self.text, u32::try_from(self.lexemes.len()).unwrap_or(u32::MAX));
            self.lexemes.push(Lexeme { form, count: 1, first: place, last: place });
            *size += length;
        }
        self.positions.push(Position { at, weight, next: u32::MAX });
    }

    fn written(&mut self, size: usize) -> Vector {
        let lexicon = &self.lexicon;
        let mut sorted: Vec<(u64, &str, Lexeme)> = self
            .lexemes
            .iter()
            .map(|lexeme| {
                let text = lexicon.form(lexeme.form);
                (beginning(text), text, *lexeme)
            })
            .collect();
        sorted.sort_unstable_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
        let mut bytes = Vec::with_capacity(size + 4 + sorted.len());
        let count = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_be_bytes());
        for (_, text, lexeme) in sorted {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&lexeme.count.to_be_bytes());
            let mut next = lexeme.first;
            while let Some(position) = self.positions.get(next as usize) {
                bytes.extend_from_slice(&(position.weight.bits() | position.at).to_be_bytes());
                next = position.next;
            }
        }
        Vector(bytes)
    }
}

/// The first eight bytes as a number, by which most lexemes can be told apart at once.
fn beginning(text: &str) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    u64::from_be_bytes(bytes)
}

/// Vectors that a projector keeps from one batch to the next. Whoever comes while they are in use makes new ones.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Vectors>);

impl Shared {
    /// Takes them, to be [given back](Self::keep).
    pub(crate) fn take(&self) -> Vectors {
        mem::take(&mut *self.0.lock())
    }

    /// Keeps them for the next batch.
    pub(crate) fn keep(&self, vectors: Vectors) {
        *self.0.lock() = vectors;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
