//! Where the words of a text stand: runs of letters and digits, taken apart where the script changes and where a script is
//! written without spaces.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use crate::spelling::only_decorates;

/// What a character is to the word in which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is in no word.
    Gap,
    /// It belongs to the character before it.
    Mark,
    /// It belongs to the word around it, whatever its script.
    Digit,
    /// A letter of a script that separates words.
    Letter,
    /// A letter of the Arabic script.
    Arabic,
    /// A character of a script without spaces between words; each is a word.
    Alone,
}

/// Part of a text that becomes a word; seldom several, because a single character may stand for several words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it stands, in bytes.
    pub(crate) range: Range<usize>,
    /// How many bytes after it belong to it and make no difference: those of `'s`.
    pub(crate) tail: usize,
}

/// Whether a byte is a character of a word; most texts have no others.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn kind(letter: char) -> Kind {
    match letter {
        '0'..='9' => Kind::Digit,
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        // An apostrophe, although Unicode has it as a letter.
        '\0'..='\u{7f}' | '\u{2bc}' => Kind::Gap,
        '\u{621}'..='\u{63a}' | '\u{641}'..='\u{64a}' => Kind::Arabic,
        letter if only_decorates(letter) => Kind::Mark,
        // Marks of sound at half width.
        '\u{ff9e}' | '\u{ff9f}' => Kind::Mark,
        // Han with its iteration marks.
        '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
            if letter.is_alphanumeric() {
                Kind::Alone
            } else {
                Kind::Gap
            }
        }
        letter if is_combining_mark(letter) => Kind::Mark,
        letter if letter.is_alphabetic() => script(letter),
        letter if letter.is_numeric() => Kind::Digit,
        _ => Kind::Gap,
    }
}

/// What a letter beyond the usual is to its word.
fn script(letter: char) -> Kind {
    match letter {
        '\u{620}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{870}'..='\u{8ff}' => Kind::Arabic,
        '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => Kind::Arabic,
        // Thai and Lao; Myanmar; Khmer; Myanmar's extensions.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Kind::Alone,
        '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' => Kind::Alone,
        // Hiragana, Katakana, its extension, and at half width.
        '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9d}' => Kind::Alone,
        // Further kana and Han.
        '\u{1aff0}'..='\u{1b16f}' | '\u{20000}'..='\u{3fffd}' => Kind::Alone,
        _ => Kind::Letter,
    }
}

/// The next pieces of a text from `from` on are pushed to `pieces`; returns where to go on, nothing at the end. Usually it is
/// one piece, and more when a run of letters is of several scripts or of one without spaces.
pub(crate) fn next(text: &str, from: usize, pieces: &mut Vec<Piece>) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    let start = from + bytes.iter().position(|byte| is_plain(*byte) || !byte.is_ascii())?;
    let rest = text.as_bytes().get(start..)?;
    let length = rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len());
    let end = start + length;
    if length > 0 && rest.get(length).is_none_or(|byte| byte.is_ascii() || !belongs(text, end)) {
        let tail = contraction(text, end);
        pieces.push(Piece { range: start..end, tail });
        return Some(end + tail);
    }
    Some(apart(text, start, pieces))
}

/// Whether the character at `at` goes on with a word.
fn belongs(text: &str, at: usize) -> bool {
    text.get(at..).and_then(|rest| rest.chars().next()).is_some_and(|letter| kind(letter) != Kind::Gap)
}

/// Takes apart a run in which not all is ASCII; returns its end, or what is behind the gap when there is no run.
fn apart(text: &str, start: usize, pieces: &mut Vec<Piece>) -> usize {
    let mut current: Option<(usize, Kind)> = None;
    let rest = text.get(start..).unwrap_or_default();
    let mut end = start;
    for (offset, letter) in rest.char_indices() {
        let (at, kind) = (start + offset, kind(letter));
        if kind == Kind::Gap {
            break;
        }
        end = at + letter.len_utf8();
        current = Some(match current {
            None => (at, kind),
            Some(current) if kind == Kind::Mark => current,
            // What has no letter yet takes the kind of the first.
            Some((from, Kind::Mark | Kind::Digit)) if kind != Kind::Alone => (from, kind),
            Some((from, Kind::Mark)) => (from, kind),
            Some((from, before)) if before == kind && kind != Kind::Alone => (from, kind),
            Some((from, before @ (Kind::Letter | Kind::Arabic))) if kind == Kind::Digit => (from, before),
            Some((from, _)) => {
                pieces.push(Piece { range: from..at, tail: 0 });
                (at, kind)
            }
        });
    }
    let Some((from, kind)) = current else {
        // A character that is in no word.
        return start + rest.chars().next().map_or(1, char::len_utf8);
    };
    let tail = if kind == Kind::Letter { contraction(text, end) } else { 0 };
    pieces.push(Piece { range: from..end, tail });
    end + tail
}

/// How many bytes at `at` are an apostrophe and what it joins to a word without being one: `'s`, `'t`, `'ll`.
fn contraction(text: &str, at: usize) -> usize {
    const JOINED: [&str; 7] = ["s", "t", "d", "m", "re", "ve", "ll"];
    // Most words are followed by a space.
    if !text.as_bytes().get(at).is_some_and(|byte| *byte == b'\'' || !byte.is_ascii()) {
        return 0;
    }
    let Some(tail) = text.get(at..).and_then(|rest| rest.strip_prefix(['\'', '’', 'ʼ', '＇'])) else { return 0 };
    let length = tail.bytes().take_while(u8::is_ascii_alphabetic).take(3).count();
    let joined = tail.get(..length).unwrap_or_default();
    let ends = tail.get(length..).and_then(|rest| rest.chars().next()).is_none_or(|letter| kind(letter) == Kind::Gap);
    let known = JOINED.iter().any(|known| known.eq_ignore_ascii_case(joined));
    if known && ends { text.len() - at - tail.len() + length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some(next) = next(text, at, &mut found) {
            assert!(next > at);
            at = next;
        }
        found
            .into_iter()
            .map(|piece| text.get(piece.range.start..piece.range.end + piece.tail).unwrap_or("?"))
            .collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(
            pieces("foo@bar.com, well-known /usr/local v1.2"),
            ["foo", "bar", "com", "well", "known", "usr", "local", "v1", "2"]
        );
        assert_eq!(pieces("snake_case — «résumé» naïve\u{301}x"), ["snake", "case", "résumé", "naïve\u{301}x"]);
        assert_eq!(pieces("…"), Vec::<&str>::new());
    }

    #[test]
    fn a_script_without_spaces_has_one_word_for_each_character() {
        assert_eq!(pieces("東京タワー2026年"), ["東", "京", "タ", "ワ", "ー", "2026", "年"]);
        assert_eq!(pieces("ｶﾞか\u{3099}が"), ["ｶﾞ", "か\u{3099}", "が"]);
        assert_eq!(pieces("น้ำ ດີ ខ្មែរ မြန်"), ["น้", "ำ", "ດີ", "ខ្", "មែ", "រ", "မြ", "န်"]);
    }

    #[test]
    fn scripts_are_taken_apart_and_digits_go_with_either() {
        assert_eq!(pieces("الـAPI v2 مادة٥ ٣مرات"), ["الـ", "API", "v2", "مادة٥", "٣مرات"]);
        assert_eq!(pieces("Привет мир 안녕 हिन्दी"), ["Привет", "мир", "안녕", "हिन्दी"]);
    }

    #[test]
    fn what_an_apostrophe_joins_goes_with_its_word() {
        assert_eq!(
            pieces("company's don’t 'quoted' o'neill café's we'll y'all's"),
            ["company's", "don’t", "quoted", "o", "neill", "café's", "we'll", "y", "all's"]
        );
        assert_eq!(pieces("rock'n'roll dogs' it'ss l'été"), ["rock", "n", "roll", "dogs", "it", "ss", "l", "été"]);
    }
}
