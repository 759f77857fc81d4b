//! One form for all spellings of a word, and one stem for most of its inflections.
//!
//! Arabic is written in several ways for the same word, and people mix them: hamza or not, ta marbuta or ha, alef
//! maqsura or ya, with or without vowels. All of them become one form here.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

/// One form for all spellings of a word: lower case, without accents, vowel signs and elongation; the forms of alef as
/// alef, alef maqsura as ya, ta marbuta as ha, hamza on a carrier as the carrier; digits of all kinds as 0 to 9.
#[must_use]
pub fn normalise(text: &str) -> String {
    text.nfkd().filter_map(plain).flat_map(char::to_lowercase).collect()
}

/// A character of decomposed text in its plain form; `None` for what only decorates.
fn plain(letter: char) -> Option<char> {
    Some(match letter {
        letter if only_decorates(letter) => return None,
        'ٱ' => 'ا',
        'ى' | 'ی' => 'ي',
        'ة' => 'ه',
        'ک' => 'ك',
        '٠' | '۰' => '0',
        '١' | '۱' => '1',
        '٢' | '۲' => '2',
        '٣' | '۳' => '3',
        '٤' | '۴' => '4',
        '٥' | '۵' => '5',
        '٦' | '۶' => '6',
        '٧' | '۷' => '7',
        '٨' | '۸' => '8',
        '٩' | '۹' => '9',
        '’' | 'ʼ' => '\'',
        other => other,
    })
}

/// Whether a character makes no difference to a word.
pub(crate) fn only_decorates(letter: char) -> bool {
    // Combining accents; Arabic vowel signs, hamza and madda above a letter; Quranic marks.
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}')
        // Elongation; marks of direction and of joining.
        || matches!(letter, '\u{640}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a word is written in Arabic letters.
#[must_use]
pub fn is_arabic(word: &str) -> bool {
    word.chars().any(is_arabic_letter)
}

/// Whether a character is a letter of the Arabic language.
pub(crate) fn is_arabic_letter(letter: char) -> bool {
    ('\u{621}'..='\u{64a}').contains(&letter)
}

/// An Arabic word without the particles and the article that are written together with it, as long as something is left.
#[must_use]
pub fn without_particles(word: &str) -> &str {
    const PREFIXES: [&str; 9] = ["وبال", "وال", "بال", "فال", "كال", "ولل", "لل", "ال", "و"];
    let rest = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix));
    rest.filter(|rest| rest.chars().count() >= 3).unwrap_or(word)
}

/// Snowball's stemmers for English and Arabic.
pub struct Stems {
    english: Stemmer,
    arabic: Stemmer,
}

impl std::fmt::Debug for Stems {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Stems")
    }
}

impl Default for Stems {
    fn default() -> Self {
        Self { english: Stemmer::create(Algorithm::English), arabic: Stemmer::create(Algorithm::Arabic) }
    }
}

impl Stems {
    /// The stem of a word in the form that [`normalise`] gives it; an Arabic one loses its particles before.
    #[must_use]
    pub fn stem(&self, word: &str) -> String {
        if is_arabic(word) { self.arabic(without_particles(word)) } else { self.english(word) }
    }

    pub(crate) fn english(&self, word: &str) -> String {
        self.english.stem(word).into_owned()
    }

    pub(crate) fn arabic(&self, word: &str) -> String {
        self.arabic.stem(word).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoration_is_what_normalising_leaves_out() {
        let decorations = (0..=0x0010_ffff_u32).filter_map(char::from_u32).filter(|letter| only_decorates(*letter));
        let mut count = 0;
        for letter in decorations {
            assert_eq!(normalise(&letter.to_string()), "", "{letter:?}");
            count += 1;
        }
        assert!(count > 150, "{count}");
    }

    #[test]
    fn particles_go_as_long_as_something_is_left() {
        assert_eq!(without_particles("والعقود"), "عقود");
        assert_eq!(without_particles("للموظفات"), "موظفات");
        assert_eq!(without_particles("والد"), "والد");
    }
}
