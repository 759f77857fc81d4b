//! The forms of words, remembered, because most words come again and again.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use unicode_normalization::char::is_combining_mark;

use crate::functions::is_function;
use crate::pieces::{self, Piece};
use crate::spelling::{Stems, is_arabic_letter, normalise, without_particles};

/// How many bytes a form has at most. Of longer words the beginning counts.
pub const LONGEST: usize = 255;
/// Of how many bytes of a word its form is made at most, before its accents and the like are gone.
const READ: usize = 1024;
/// How many words are remembered before all are forgotten: a few megabytes.
const MOST: usize = 50_000;

/// A form of words, by its number in the [`Lexicon`] that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form(u32);

impl Form {
    /// Its number; a lexicon counts from 0 and leaves none out.
    #[must_use]
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

/// A word in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Where it stands, in bytes. A few characters stand for several words, which then have the same range.
    pub range: Range<usize>,
    /// By what it is found; nothing for function words, which only keep their place.
    pub form: Option<Form>,
}

/// Reads texts, and remembers the forms of their words.
#[derive(Debug, Default)]
pub struct Lexicon {
    stems: Stems,
    known: HashMap<Box<str>, Known>,
    numbers: HashMap<Arc<str>, Form>,
    forms: Vec<Arc<str>>,
    pieces: Vec<Piece>,
}

/// What is known of a word as it is written.
#[derive(Debug)]
enum Known {
    Word(Option<Form>),
    /// What stands for any other number of words.
    Words(Box<[Option<Form>]>),
}

impl Lexicon {
    /// The words of a text, in order, pushed to `tokens`.
    pub fn read(&mut self, text: &str, tokens: &mut Vec<Token>) {
        let mut found = std::mem::take(&mut self.pieces);
        let mut at = 0;
        while let Some(next) = pieces::next(text, at, &mut found) {
            at = next;
            for Piece { range, tail } in found.drain(..) {
                let word = beginning(text.get(range.clone()).unwrap_or_default(), READ);
                let range = range.start..range.end + tail;
                match self.known.get(word) {
                    Some(known) => known.tell(&range, tokens),
                    None => self.learn(word).tell(&range, tokens),
                }
            }
        }
        self.pieces = found;
    }

    /// A form as it is written.
    #[must_use]
    pub fn form(&self, form: Form) -> &str {
        self.forms.get(form.number()).map_or("", |form| form)
    }

    /// How many forms there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.forms.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Forgets everything when that has become too much, and says so; forms that were made before mean nothing then.
    pub fn forget(&mut self) -> bool {
        let full = self.known.len() > MOST;
        if full {
            *self = Self::default();
        }
        full
    }

    fn learn(&mut self, word: &str) -> &Known {
        let plain = if word.is_ascii() { word.to_ascii_lowercase() } else { folded(normalise(word)) };
        let parts = plain.split(|letter: char| !letter.is_alphanumeric() && !is_combining_mark(letter));
        let mut forms = parts.filter(|part| part.contains(char::is_alphanumeric)).map(|part| self.form_of(part));
        let known = match (forms.next(), forms.next()) {
            (Some(form), None) => Known::Word(form),
            (first, second) => Known::Words(first.into_iter().chain(second).chain(forms).collect()),
        };
        self.known.entry(word.into()).or_insert(known)
    }

    /// The form of a word whose spelling is plain.
    fn form_of(&mut self, word: &str) -> Option<Form> {
        if is_function(word) {
            return None;
        }
        let word = beginning(word, LONGEST);
        // Stemmers are only asked about what they were made for.
        let stem = if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            self.stems.english(word)
        } else if word.chars().all(is_arabic_letter) {
            self.stems.arabic(bare(word))
        } else {
            String::new()
        };
        let form = if stem.is_empty() { word } else { beginning(&stem, LONGEST) };
        if let Some(known) = self.numbers.get(form) {
            return Some(*known);
        }
        // There are never more than a few times as many as may be remembered, and a text's own.
        let number = Form(u32::try_from(self.forms.len()).unwrap_or(u32::MAX));
        let form: Arc<str> = form.into();
        self.forms.push(Arc::clone(&form));
        self.numbers.insert(form, number);
        Some(number)
    }
}

impl Known {
    fn tell(&self, range: &Range<usize>, tokens: &mut Vec<Token>) {
        match self {
            Self::Word(form) => tokens.push(Token { range: range.clone(), form: *form }),
            Self::Words(forms) => {
                tokens.extend(forms.iter().map(|form| Token { range: range.clone(), form: *form }));
            }
        }
    }
}

/// An Arabic word without particles, as often as any is there: of words that themselves begin like one, all forms lose as
/// much, so that one finds the others.
fn bare(mut word: &str) -> &str {
    loop {
        let rest = without_particles(word);
        if rest.len() == word.len() {
            return word;
        }
        word = rest;
    }
}

/// Letters that are no accented ones and yet are written without being on every keyboard, as one writes them then.
fn folded(word: String) -> String {
    const LETTERS: [(char, &str); 11] = [
        ('ß', "ss"),
        ('æ', "ae"),
        ('œ', "oe"),
        ('ø', "o"),
        ('ł', "l"),
        ('đ', "d"),
        ('ð', "d"),
        ('þ', "th"),
        ('ħ', "h"),
        ('ı', "i"),
        // The same letter at the end of a word.
        ('ς', "σ"),
    ];
    if !word.contains(|letter| LETTERS.iter().any(|(from, _)| *from == letter)) {
        return word;
    }
    let mut plain = String::with_capacity(word.len());
    for letter in word.chars() {
        match LETTERS.iter().find(|(from, _)| *from == letter) {
            Some((_, to)) => plain.push_str(to),
            None => plain.push(letter),
        }
    }
    plain
}

/// At most so many bytes of a text, in whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
