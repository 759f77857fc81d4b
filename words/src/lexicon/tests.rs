//! What has the same form as what, and that no text is too strange.

use proptest::prelude::*;

use super::*;

/// The forms of a text; a dash where a function word keeps its place.
fn forms(text: &str) -> Vec<String> {
    let (mut lexicon, mut tokens) = (Lexicon::default(), Vec::new());
    lexicon.read(text, &mut tokens);
    tokens.iter().map(|token| token.form.map_or("-", |form| lexicon.form(form)).to_owned()).collect()
}

#[test]
fn english_words_meet_in_their_stem() {
    assert_eq!(forms("The companies signed; company's signing!"), ["-", "compani", "sign", "compani", "sign"]);
    assert_eq!(forms("RÉSUMÉS, Naïve"), forms("resumes naive"));
    assert_eq!(forms("re\u{301}sume\u{301}"), forms("résumé"));
    assert_eq!(forms("Straße Øre"), forms("strasse ore"));
    assert_eq!(forms("don't we'll"), ["-", "-"]);
    assert_eq!(forms("v12 running2"), ["v12", "running2"], "what has digits is no word of a language");
}

#[test]
fn spellings_of_an_arabic_word_meet() {
    for (one, other) in [
        ("إعلان", "اعلان"),
        ("إِعْلَانٌ", "اعلان"),
        ("مراجعة", "مراجعه"),
        ("مستشفى", "مستشفي"),
        ("العقد", "عقد"),
        ("والعقود", "العقود"),
        ("الوظيفة", "وظيفة"),
        ("مراجعـــة", "مراجعة"),
        ("الموظفين", "موظفين"),
        ("\u{fefb}\u{fe8b}\u{fea4}\u{fe94}", "لائحة"),
        ("٢٠٢٦", "2026"),
    ] {
        assert_eq!(forms(one), forms(other), "{one} {other}");
    }
    assert_ne!(forms("عقود"), forms("عقد"), "a broken plural is another stem");
    assert_eq!(forms("في العقد"), ["-".to_owned(), forms("عقد").remove(0)]);
    assert_eq!(forms("الـAPI"), ["-", "api"]);
}

#[test]
fn other_scripts_are_found_as_they_are_written() {
    assert_eq!(forms("東京"), ["東", "京"]);
    assert_eq!(forms("ﾃｽﾄ"), forms("テスト"));
    assert_eq!(forms("ｶﾞ"), forms("ガ"));
    assert_eq!(forms("Ёлка ΛΌΓΟΣ"), forms("елка λόγος"));
    assert_eq!(forms("한국어"), forms("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"));
}

#[test]
fn a_character_may_stand_for_several_words() {
    assert_eq!(forms("½"), ["1", "2"]);
    assert_eq!(forms("ﷺ").len(), 4);
    assert_eq!(forms("\u{3099}"), Vec::<String>::new(), "a mark by itself is no word");
}

#[test]
fn long_words_count_by_their_beginning() {
    let (long, longer) = ("x1".repeat(400), "x1".repeat(50_000));
    assert_eq!(forms(&long), forms(&longer));
    assert_eq!(forms(&longer).concat().len(), LONGEST);
    assert_eq!(forms(&"é".repeat(9000)).concat().len(), LONGEST);
    assert_eq!(forms(&format!("a{}", "\u{301}".repeat(9000))), ["-"]);
}

#[test]
fn what_is_remembered_has_a_limit() {
    let mut lexicon = Lexicon::default();
    let text: Vec<String> = (0..=MOST).map(|number| format!("w{number}")).collect();
    let mut tokens = Vec::new();
    lexicon.read(&text.join(" "), &mut tokens);
    assert_eq!((tokens.len(), lexicon.len()), (MOST + 1, MOST + 1));
    assert!(lexicon.forget() && lexicon.is_empty());
    assert!(!lexicon.forget());
}

/// Every kind of character that words are made of, and those between.
fn texts() -> impl Strategy<Value = String> {
    let letters = prop_oneof![
        4 => prop::char::range(' ', '~'),
        1 => prop::char::range('\0', '\u{2ff}'),
        1 => prop::char::range('\u{300}', '\u{36f}'),
        4 => prop::char::range('\u{600}', '\u{6ff}'),
        1 => prop::char::range('\u{900}', '\u{1fff}'),
        1 => prop::char::range('\u{2000}', '\u{30ff}'),
        1 => prop::char::range('\u{fb00}', '\u{ffff}'),
        2 => any::<char>(),
    ];
    prop::collection::vec(letters, 0..60).prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_text_is_read(text in texts()) {
        let (mut lexicon, mut tokens) = (Lexicon::default(), Vec::new());
        lexicon.read(&text, &mut tokens);
        let mut end = 0;
        for token in &tokens {
            prop_assert!(text.get(token.range.clone()).is_some_and(|word| !word.is_empty()));
            prop_assert!(token.range.end >= end, "they stand in order");
            end = token.range.end;
            let Some(form) = token.form else { continue };
            let form = lexicon.form(form);
            prop_assert!(!form.is_empty() && form.len() <= LONGEST);
            prop_assert!(form.chars().all(|letter| letter.is_alphanumeric() || is_combining_mark(letter)), "{form:?}");
        }
        // It is the same when it is read again, from memory, and however it was decomposed.
        let again = tokens.clone();
        tokens.clear();
        lexicon.read(&text, &mut tokens);
        prop_assert_eq!(&tokens, &again);
    }

    #[test]
    fn words_of_one_script_are_read(english in "[a-z]{1,30}", arabic in "[\u{621}-\u{63a}\u{641}-\u{64a}]{1,20}") {
        prop_assert_eq!(forms(&english).len(), 1);
        prop_assert_eq!(forms(&arabic).len(), 1);
        prop_assert_eq!(forms(&english.to_uppercase()), forms(&english));
    }
}
