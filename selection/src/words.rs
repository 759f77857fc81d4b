//! From a text to the forms by which the library finds it, for its entries and for requests alike.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ::words::{Stems, is_arabic, normalise, without_particles};

/// Words that say nothing about a job, in the form that [`normalise`] gives them: function words, and what people say
/// when they ask for anything at all.
static STOP: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let english = "a an the and or but if of to in on at by for from with without into onto over under about as is are was \
        were be been being am do does did done have has had having i me my mine we us our ours you your yours he him his \
        she her hers it its they them their this that these those there here who whom which what when where why how \
        can could would should will shall may might must not no so too very just please pls thanks thank hi hello hey \
        need needs want wants like help us some any all also then than s t re ve ll m d";
    let arabic = "في من علي الي عن مع هذا هذه ذلك تلك هو هي هم نحن انا انت انتم التي الذي الذين ما ماذا متي اين كيف لماذا هل لا لم لن \
        قد كان كانت يكون تكون ان اذا او و ثم بل لكن كل بعض اي عند عندي عندنا لدي لدينا لي لنا لكم لهم له لها بها به فيه فيها منه منها \
        اريد نريد ابغي ابي نبغي نبي احتاج نحتاج محتاج محتاجين محتاجه ممكن ارجو الرجاء فضلك سمحت لو يا مرحبا السلام عليكم شكرا \
        حتي بعد قبل بين كما مثل غير ليس ايضا فقط جدا الان اليوم وش شو ايش اللي يعني عشان علشان";
    english.split_whitespace().chain(arabic.split_whitespace()).collect()
});

/// Whether most letters of a text are Arabic.
pub(crate) fn mostly_arabic(text: &str) -> bool {
    let letters = text.chars().filter(|letter| letter.is_alphabetic());
    let arabic = text.chars().filter(|letter| ('\u{621}'..='\u{64a}').contains(letter)).count();
    arabic * 2 > letters.count()
}

/// Takes a text apart; keeps the stemmers, which cost a little to make.
pub(crate) struct Analyser {
    stems: Stems,
    /// Stems, and pairs of them, with the numbers of the groups of [`CONCEPTS`] in which they stand.
    concepts: HashMap<String, Vec<usize>>,
}

/// Words that mean much the same, in both languages. Whoever wrote them had also written the questions
/// of the evaluation (docs/benchmarks.md).
const CONCEPTS: &str = include_str!("concepts.txt");

/// A text taken apart.
#[derive(Debug, Default)]
pub(crate) struct Analysed {
    /// The stems of its words, in order.
    pub(crate) stems: Vec<String>,
    /// Neighbouring stems.
    pub(crate) pairs: Vec<String>,
    /// Sequences of four characters within words, the edges marked.
    pub(crate) grams: Vec<String>,
    /// What its words and pairs stand for, whatever the language: numbers of groups of words that mean the same.
    pub(crate) concepts: Vec<String>,
    /// The words that the stems were made of.
    pub(crate) words: Vec<String>,
}

impl Analyser {
    pub(crate) fn new() -> Self {
        let mut analyser = Self { stems: Stems::default(), concepts: HashMap::new() };
        let mut concepts: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, line) in CONCEPTS.lines().filter(|line| !line.starts_with('#')).enumerate() {
            for term in line.split(',') {
                let stems = analyser.analyse(term).stems;
                // Longer than a pair is not looked for.
                let groups = concepts.entry(stems.join(" ")).or_default();
                if !groups.contains(&number) {
                    groups.push(number);
                }
            }
        }
        analyser.concepts = concepts;
        analyser
    }

    pub(crate) fn analyse(&self, text: &str) -> Analysed {
        let text = normalise(text);
        let mut analysed = Analysed::default();
        for word in text.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '+' | '#')) {
            if word.is_empty() || STOP.contains(word) {
                continue;
            }
            let stem = self.stems.stem(word);
            if let Some(last) = analysed.stems.last() {
                analysed.pairs.push(format!("{last} {stem}"));
            }
            analysed.grams.extend(grams(word));
            analysed.stems.push(stem);
            analysed.words.push(word.to_owned());
        }
        let terms = analysed.stems.iter().chain(&analysed.pairs);
        let groups = terms.filter_map(|term| self.concepts.get(term)).flatten();
        analysed.concepts = groups.map(ToString::to_string).collect();
        analysed
    }
}

/// The parts of a word, four characters each, with its edges marked; a short word is one part.
fn grams(word: &str) -> Vec<String> {
    const LENGTH: usize = 4;
    let word = if is_arabic(word) { without_particles(word) } else { word };
    let letters: Vec<char> = std::iter::once('^').chain(word.chars()).chain(std::iter::once('$')).collect();
    if letters.len() <= LENGTH {
        return vec![letters.into_iter().collect()];
    }
    letters.windows(LENGTH).map(|window| window.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        Analyser::new().analyse(text).stems
    }

    #[test]
    fn spellings_of_an_arabic_word_are_one() {
        assert_eq!(normalise("إِعْلَانٌ"), normalise("اعلان"));
        assert_eq!(normalise("مُراجعـــة"), normalise("مراجعه"));
        assert_eq!(normalise("مستشفى"), normalise("مستشفي"));
        assert_eq!(normalise("مسؤول"), normalise("مسوول"));
        assert_eq!(normalise("٢٠٢٦"), "2026");
        assert_eq!(normalise("Résumé’s"), "resume's");
    }

    #[test]
    fn inflected_words_meet_in_their_stem() {
        assert_eq!(stems("reviewing the contracts"), stems("review contract"));
        assert_eq!(stems("والعقود"), stems("عقود"));
        assert_eq!(stems("الموظفين"), stems("موظف"));
        assert_eq!(stems("للموظفات"), stems("موظفات"));
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        assert_eq!(stems("could you please help me with the C++ API?"), ["c++", "api"]);
        assert_eq!(stems("لو سمحت أحتاج عقد"), ["عقد"]);
        assert!(stems("  ، ؟ — ").is_empty());
    }

    #[test]
    fn short_words_are_one_part() {
        assert_eq!(grams("hr"), ["^hr$"]);
        assert_eq!(grams("audit"), ["^aud", "audi", "udit", "dit$"]);
    }

    #[test]
    fn the_language_is_that_of_most_letters() {
        assert!(mostly_arabic("راجع الـ API قبل الإطلاق"));
        assert!(!mostly_arabic("review the عقد please"));
        assert!(!mostly_arabic("123"));
    }
}
