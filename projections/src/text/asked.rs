//! What is looked for, written as people write it for web searches: all words must be there, `"exact phrase"`, `or`,
//! `-without`.

use words::{Form, Lexicon, Token};

/// How many words count; those after them are not looked for. A question over the API cannot have as many.
const MOST: usize = 512;
/// The longest distance within a phrase that PostgreSQL takes.
const FARTHEST: usize = 1 << 14;
/// Between which a phrase stands, in whatever way it is typed.
const QUOTES: [char; 6] = ['"', '“', '”', '„', '«', '»'];

/// A question, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As a `tsquery` is written.
    pub(crate) query: String,
    /// What is wanted, sorted: not what must not be there.
    pub(crate) wanted: Vec<Form>,
}

/// What must be there, or must not.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Or,
    Words { text: &'a str, without: bool },
}

impl Asked {
    /// Understands any text; nothing when there is no word in it, or none but function words.
    pub(crate) fn parse(text: &str, lexicon: &mut Lexicon) -> Option<Self> {
        let (mut alternatives, mut all) = (Vec::new(), Vec::new());
        let (mut wanted, mut tokens) = (Vec::new(), Vec::new());
        let mut left = MOST;
        for part in parts(text) {
            let Part::Words { text, without } = part else {
                if !all.is_empty() {
                    alternatives.push(std::mem::take(&mut all));
                }
                continue;
            };
            tokens.clear();
            lexicon.read(text, &mut tokens);
            tokens.truncate(left);
            left -= tokens.len();
            let Some(phrase) = phrase(&tokens, lexicon) else { continue };
            all.push(if without { format!("!{phrase}") } else { phrase });
            if !without {
                wanted.extend(tokens.iter().filter_map(|token| token.form));
            }
        }
        alternatives.push(all);
        let alternatives: Vec<String> =
            alternatives.iter().filter(|all| !all.is_empty()).map(|all| all.join(" & ")).collect();
        if alternatives.is_empty() {
            return None;
        }
        wanted.sort_unstable();
        wanted.dedup();
        Some(Self { query: alternatives.join(" | "), wanted })
    }
}

/// Words next to each other, with function words between them keeping their places; in brackets when there are several.
fn phrase(tokens: &[Token], lexicon: &Lexicon) -> Option<String> {
    let mut phrase = String::new();
    let (mut last, mut several) = (None, false);
    for (place, token) in tokens.iter().enumerate() {
        let Some(form) = token.form else { continue };
        if let Some(last) = last.replace(place) {
            several = true;
            phrase.push_str(&format!(" <{}> ", (place - last).min(FARTHEST)));
        }
        // There is nothing in a form that would have to be escaped.
        phrase.push('\'');
        phrase.push_str(lexicon.form(form));
        phrase.push('\'');
    }
    match (last, several) {
        (None, _) => None,
        (Some(_), false) => Some(phrase),
        (Some(_), true) => Some(format!("({phrase})")),
    }
}

/// Takes a question apart. A quotation mark without its fellow is none, and a dash is one only right before what must not
/// be there: neither `well-known` nor `--verbose` leave anything out.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut without = false;
    loop {
        let trimmed = rest.trim_start();
        without &= trimmed.len() == rest.len();
        rest = trimmed;
        let Some(first) = rest.chars().next() else { return parts };
        if QUOTES.contains(&first) {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            if let Some((phrase, after)) = rest.split_once(QUOTES) {
                parts.push(Part::Words { text: phrase, without });
                rest = after;
            }
            without = false;
            continue;
        }
        let end = rest.find(|letter: char| letter.is_whitespace() || QUOTES.contains(&letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        without = word == "-";
        if word.eq_ignore_ascii_case("or") {
            parts.push(Part::Or);
        } else if !without {
            let excluded = word.strip_prefix('-').filter(|excluded| !excluded.starts_with('-'));
            parts.push(Part::Words { text: excluded.unwrap_or(word), without: excluded.is_some() });
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn query(text: &str) -> String {
        Asked::parse(text, &mut Lexicon::default()).map(|asked| asked.query).unwrap_or_default()
    }

    #[test]
    fn words_are_all_wanted_unless_it_is_said_otherwise() {
        assert_eq!(query("rental contracts"), "'rental' & 'contract'");
        assert_eq!(query("rent OR lease contract -draft"), "'rent' | 'leas' & 'contract' & !'draft'");
        assert_eq!(query("\"paid late\" invoice"), "('paid' <1> 'late') & 'invoic'");
        assert_eq!(query("-\"paid late\" invoice"), "!('paid' <1> 'late') & 'invoic'");
        assert_eq!(query("“sign of the contract”"), "('sign' <3> 'contract')");
    }

    #[test]
    fn compounds_are_phrases() {
        assert_eq!(query("foo@bar.com"), "('foo' <1> 'bar' <1> 'com')");
        assert_eq!(query("/usr/local well-known"), "('usr' <1> 'local') & ('well' <1> 'known')");
        assert_eq!(query("東京"), "('東' <1> '京')");
        assert_eq!(query("state-of-the-art"), "('state' <3> 'art')");
    }

    #[test]
    fn what_means_nothing_is_left_out() {
        for nothing in ["", " \0 ", "the", "of \"in the\" -a", "or", "\"", "- -- \"\"", "or or", "«»"] {
            assert_eq!(Asked::parse(nothing, &mut Lexicon::default()), None, "{nothing:?}");
        }
        assert_eq!(query("or rent or"), "'rent'");
        assert_eq!(query("rent - deposit --verbose"), "'rent' & 'deposit' & 'verbos'");
        assert_eq!(query("5\" pipe"), "'5' & 'pipe'");
        assert_eq!(query("the -late"), "!'late'");
        assert_eq!(query("' OR drop=table --"), "('drop' <1> 'tabl')");
        assert_eq!(query("it's \\ a' & | ! <-> (rent)"), "'rent'");
    }

    #[test]
    fn only_what_must_be_there_is_wanted() {
        let mut lexicon = Lexicon::default();
        let asked = Asked::parse("b or c -d \"c e\"", &mut lexicon).unwrap();
        let wanted: Vec<&str> = asked.wanted.iter().map(|form| lexicon.form(*form)).collect();
        assert_eq!(wanted, ["b", "c", "e"]);
    }

    #[test]
    fn of_too_many_words_the_first_count() {
        let many: Vec<String> = (0..600).map(|number| number.to_string()).collect();
        assert_eq!(query(&many.join(" ")).split(" & ").count(), MOST);
        assert_eq!(query(&many.join("-")).split(" <1> ").count(), MOST);
    }
}
