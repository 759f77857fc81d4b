//! What is written of a text. That PostgreSQL takes it is tested with PostgreSQL.

use super::*;

/// A vector as PostgreSQL shows it.
fn shown(vector: &Vector) -> String {
    let mut bytes = vector.0.as_slice();
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count);
        bytes = rest;
        taken
    };
    let count = u32::from_be_bytes(take(4).try_into().unwrap());
    let mut lexemes = Vec::new();
    for _ in 0..count {
        let mut text = Vec::new();
        loop {
            match take(1) {
                [0] => break,
                byte => text.extend_from_slice(byte),
            }
        }
        let number = u16::from_be_bytes(take(2).try_into().unwrap());
        let positions: Vec<String> = (0..number)
            .map(|_| {
                let position = u16::from_be_bytes(take(2).try_into().unwrap());
                let weight = if position >> 14 == 3 { "A" } else { "B" };
                format!("{}{weight}", position & LAST)
            })
            .collect();
        lexemes.push(format!("{}:{}", String::from_utf8(text).unwrap(), positions.join(",")));
    }
    assert!(bytes.is_empty());
    lexemes.join(" ")
}

#[test]
fn lexemes_are_sorted_and_keep_all_their_places() {
    let mut vectors = Vectors::default();
    let vector = vectors.of(&[(Weight::A, "Signing of contracts"), (Weight::B, "sign contract contracting résumé 東")]);
    assert_eq!(shown(&vector), "contract:3A,6B,7B resum:8B sign:1A,5B 東:9B");
    assert_eq!(shown(&vectors.of(&[(Weight::B, "contractor contract con")])), "con:3B contract:2B contractor:1B");
    assert_eq!(shown(&vectors.of(&[(Weight::A, "the"), (Weight::B, "")])), "");
}

#[test]
fn what_is_beyond_the_limits_of_postgresql_is_left_out() {
    let mut vectors = Vectors::default();
    let often = shown(&vectors.of(&[(Weight::B, &"rent ".repeat(300))]));
    assert_eq!(often.split(',').count(), usize::from(POSITIONS));
    let long: Vec<String> = (0..20_000).map(|number| format!("w{number}")).collect();
    let long = shown(&vectors.of(&[(Weight::B, &long.join(" "))]));
    assert!(long.contains("w0:1B ") && long.contains("w16382:16383B ") && long.contains("w19999:16383B"));
    let large: Vec<String> = (0..10_000).map(|number| format!("{number}{}", "x".repeat(200))).collect();
    let large = vectors.of(&[(Weight::B, &large.join(" "))]);
    // A NUL behind each lexeme is written, and not kept.
    assert!((LARGEST - 1000..LARGEST + 2500).contains(&large.0.len()), "{}", large.0.len());
}

#[test]
fn nothing_of_one_text_is_in_the_next_also_when_words_were_forgotten() {
    let mut vectors = Vectors::default();
    let first = vectors.of(&[(Weight::B, "rental contract")]);
    let many: Vec<String> = (0..60_000).map(|number| format!("w{number}")).collect();
    vectors.of(&[(Weight::B, &many.join(" "))]);
    assert_eq!(vectors.of(&[(Weight::B, "rental contract")]), first);
    vectors.text = u32::MAX;
    assert_eq!(vectors.of(&[(Weight::B, "rental contract")]), first);
    assert_eq!(shown(&vectors.of(&[(Weight::B, "contract")])), "contract:1B");
}
