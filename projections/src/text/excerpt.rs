//! Where in a text the words stand that were looked for.

use std::ops::Range;

use words::{Form, Lexicon};

/// How many words a fragment has at most.
const WORDS: usize = 24;

/// A word of the text.
#[derive(Debug)]
struct Word {
    range: Range<usize>,
    /// Which of the wanted ones it is.
    wanted: Option<usize>,
}

/// At most two fragments of a text, around the places where most of the wanted words stand, with these between `«` and
/// `»`; the beginning of the text when there are none.
pub(crate) fn excerpt(text: &str, wanted: &[Form], lexicon: &mut Lexicon) -> String {
    let words = read(text, wanted, lexicon);
    let Some(first) = best(&words, 0..words.len()) else {
        return shown(text, words.get(..words.len().min(WORDS)).unwrap_or_default());
    };
    let before = best(&words, 0..first.words.start);
    let after = best(&words, first.words.end..words.len());
    let second = match (before, after) {
        (Some(before), Some(after)) => Some(if after.worth > before.worth { after } else { before }),
        (before, after) => before.or(after),
    };
    let (mut one, mut other) = (first.words, second.map(|fragment| fragment.words));
    if let Some(other) = &mut other
        && other.start < one.start
    {
        std::mem::swap(&mut one, other);
    }
    let part = |fragment| shown(text, words.get(fragment).unwrap_or_default());
    match other {
        Some(other) if one.end == other.start => part(one.start..other.end),
        Some(other) => format!("{} … {}", part(one), part(other)),
        None => part(one),
    }
}

fn read(text: &str, wanted: &[Form], lexicon: &mut Lexicon) -> Vec<Word> {
    let mut tokens = Vec::new();
    lexicon.read(text, &mut tokens);
    let mut words: Vec<Word> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let found = token.form.and_then(|form| wanted.binary_search(&form).ok());
        match words.last_mut() {
            Some(last) if last.range == token.range => last.wanted = last.wanted.or(found),
            _ => words.push(Word { range: token.range, wanted: found }),
        }
    }
    words
}

/// A fragment, and what it is worth: how many different words are in it that are wanted, and how often any is.
#[derive(Debug)]
struct Fragment {
    words: Range<usize>,
    worth: (usize, usize),
}

/// The best fragment among `within`, the first of those that are worth as much, with what is wanted in its middle.
fn best(words: &[Word], within: Range<usize>) -> Option<Fragment> {
    let mut best: Option<(Fragment, usize)> = None;
    for start in within.clone() {
        if words.get(start).is_none_or(|word| word.wanted.is_none()) {
            continue;
        }
        let window = words.get(start..within.end.min(start + WORDS)).unwrap_or_default();
        let mut found: Vec<usize> = window.iter().filter_map(|word| word.wanted).collect();
        let count = found.len();
        found.sort_unstable();
        found.dedup();
        let worth = (found.len(), count);
        if best.as_ref().is_none_or(|(best, _)| worth > best.worth) {
            let last = window.iter().rposition(|word| word.wanted.is_some()).unwrap_or_default();
            best = Some((Fragment { words: start..start + window.len(), worth }, last + 1));
        }
    }
    let (mut fragment, length) = best?;
    let start = fragment.words.start.saturating_sub((WORDS - length) / 2).max(within.start);
    let end = within.end.min(start + WORDS);
    // Towards the end there is more room before it.
    fragment.words = end.saturating_sub(WORDS).max(within.start).min(start)..end;
    Some(fragment)
}

/// The text of these words with everything between them. What stands next to each other is marked together.
fn shown(text: &str, words: &[Word]) -> String {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return String::new() };
    let mut shown = String::with_capacity(last.range.end - first.range.start + 16);
    let mut at = first.range.start;
    let mut rest = words.iter().filter(|word| word.wanted.is_some()).map(|word| word.range.clone()).peekable();
    while let Some(mut marked) = rest.next() {
        while let Some(next) = rest.next_if(|next| next.start == marked.end) {
            marked.end = next.end;
        }
        shown.push_str(text.get(at..marked.start).unwrap_or_default());
        at = marked.end;
        shown.push('«');
        shown.push_str(text.get(marked).unwrap_or_default());
        shown.push('»');
    }
    shown.push_str(text.get(at..last.range.end).unwrap_or_default());
    shown
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::text::Asked;

    fn of(text: &str, asked: &str) -> String {
        let mut lexicon = Lexicon::default();
        let wanted = Asked::parse(asked, &mut lexicon).unwrap().wanted;
        excerpt(text, &wanted, &mut lexicon)
    }

    fn numbers(range: Range<u32>) -> String {
        range.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_of_a_wanted_word_is_marked() {
        assert_eq!(
            of("The company's contracts, signed.", "company contract -sign"),
            "The «company's» «contracts», signed"
        );
        assert_eq!(of("راجعوا الإعلانات والعقود قبل النشر.", "اعلانات عقود"), "راجعوا «الإعلانات» «والعقود» قبل النشر");
        assert_eq!(of("Mail foo@bar.com: Résumé!", "resume foo@bar.com"), "Mail «foo»@«bar».«com»: «Résumé»");
        assert_eq!(of("昨日は東京都で", "東京"), "昨日は«東京»都で");
    }

    #[test]
    fn fragments_are_where_most_wanted_words_stand() {
        let text =
            format!("{} apple {} apple pear {} pear {}", numbers(0..50), numbers(50..100), numbers(100..200), 200);
        let found = of(&text, "apple pear");
        let (one, other) = found.split_once(" … ").unwrap();
        assert!(one.contains(" 49 «apple» 50 ") || one.contains(" 199 «pear» 200"), "{found}");
        assert!(other.contains(" 99 «apple» «pear» 100 "), "{found}");
        assert!(found.split(' ').count() <= 2 * WORDS + 1, "{found}");
        let near = of(&format!("{} apple", numbers(0..50)), "apple");
        assert_eq!(near, format!("{} «apple»", numbers(27..50)));
    }

    #[test]
    fn fragments_that_meet_are_one() {
        let text = format!("apple {} pear {}", numbers(0..24), numbers(24..60));
        let found = of(&text, "apple pear");
        assert!(!found.contains('…') && found.starts_with("«apple» 0 ") && found.contains(" 23 «pear» 24 "), "{found}");
    }

    #[test]
    fn a_text_without_them_gives_its_beginning() {
        assert_eq!(of(&numbers(0..100), "apple"), numbers(0..24));
        assert_eq!(of(" one.", "apple"), "one");
        assert_eq!(of("…", "apple"), "");
    }

    #[test]
    fn a_text_of_nothing_else_is_no_trouble() {
        let found = of(&"東".repeat(20_000), "東");
        assert_eq!(found, format!("«{}»", "東".repeat(2 * WORDS)));
    }
}
