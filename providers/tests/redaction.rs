//! What leaves for a platform, and what comes back.

use proptest::prelude::*;
use providers::redaction::{Kind, Redactor};
use providers::{Message, Request};

fn masked(text: &str) -> String {
    Redactor::all().text(text).unwrap().0
}

#[test]
fn finds_what_must_not_leave() {
    let cases = [
        ("key sk-proj-abcdefGHIJKL1234567890mnop ok", "key [SECRET_1] ok"),
        ("sk-ant-api03-AbCdEf0123456789_-AbCdEf0123456789", "[SECRET_1]"),
        ("use ghp_abcdefghijklmnopqrstuvwxyz0123456789", "use [SECRET_1]"),
        ("AKIAIOSFODNN7EXAMPLE", "[SECRET_1]"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[SECRET_1]"),
        ("xoxb-123456789012-abcdefABCDEF", "[SECRET_1]"),
        ("Authorization: Bearer abcdefghijklmnop1234567890", "Authorization: Bearer [SECRET_1]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4", "[SECRET_1]"),
        ("password = \"hunter2!x\" and more", "password = \"[SECRET_1]\" and more"),
        ("postgres://app:s3cr3t@db/x", "postgres://app:[SECRET_1]@db/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[SECRET_1]"),
        ("write to Jane.Doe+x@example.co.uk.", "write to [EMAIL_1]."),
        ("call +49 30 901820 or +1 (415) 555-2671", "call [PHONE_1] or [PHONE_2]"),
        ("call +49 30 9018-2000", "call [PHONE_1]"),
        ("+966 50 123 4567", "[PHONE_1]"),
        ("(415) 555-2671", "[PHONE_1]"),
        ("030 / 90182000 or 0151-23456789", "[PHONE_1] or [PHONE_2]"),
        ("card 4111 1111 1111 1111 exp", "card [CARD_1] exp"),
        ("5555555555554444", "[CARD_1]"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [IBAN_1]."),
        ("SA0380000000608010167519", "[IBAN_1]"),
        ("SSN 078-05-1120", "SSN [NATIONAL_ID_1]"),
        ("NINO AB 12 34 56 C", "NINO [NATIONAL_ID_1]"),
        ("DNI 12345678Z", "DNI [NATIONAL_ID_1]"),
        ("RSSMRA85T10A562S", "[NATIONAL_ID_1]"),
        ("PESEL 44051401359", "PESEL [NATIONAL_ID_1]"),
        ("رقم ٢٩٠٠١٠١٢١٠٠٠٠٣ قومي", "رقم [NATIONAL_ID_1] قومي"),
        ("البطاقة ٤١١١ ١١١١ ١١١١ ١١١١", "البطاقة [CARD_1]"),
    ];
    for (text, expected) in cases {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn leaves_alone_what_is_none_of_it() {
    for text in [
        "order 4111 1111 1111 1112 of 2026-11-25",
        "build 20261125123456, ticket #123-456-7890",
        "version 1.2.3.4, IP 192.168.100.200, port 5432",
        "at 1764028800 and 1764028800123 ms",
        "the password is asked for later; api_key: $API_KEY",
        "$ 1,234,567.89 and 12 345 678 units",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "SSN 000-12-3456 and 666-12-3456 cannot be",
        "a@b and user@localhost",
        "[EMAIL_1] was here",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn the_same_value_gets_the_same_placeholder_and_comes_back() {
    let redactor = Redactor::all();
    let mut request = Request {
        system: Some("You work for ann@example.com.".into()),
        turns: vec![Message::user("Ask bob@example.com, not ann@example.com.")],
        ..Request::new("Who is ann@example.com? Her card is 4111111111111111.")
    };
    let original = request.clone();
    let vault = redactor.request(&mut request).unwrap();
    assert_eq!(request.system.as_deref(), Some("You work for [EMAIL_1]."));
    assert_eq!(request.user, "Who is [EMAIL_1]? Her card is [CARD_1].");
    assert_eq!(request.turns, [Message::user("Ask [EMAIL_2], not [EMAIL_1].")]);
    let counts: Vec<_> = vault.counts().iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counts, [("CARD", 1), ("EMAIL", 4)]);
    assert_eq!(vault.unmask(&request.user), original.user);
    assert_eq!(vault.unmask("[EMAIL_2] and [EMAIL_9] [[EMAIL_1]]"), "bob@example.com and [EMAIL_9] [ann@example.com]");
    assert!(!format!("{vault:?}").contains("4111"), "the vault does not show what it holds");
}

#[test]
fn a_text_that_has_placeholders_already_cannot_confuse() {
    let (text, vault) = Redactor::all().text("[EMAIL_1] is not ann@example.com").unwrap();
    assert_eq!(text, "[EMAIL_1] is not [M1_EMAIL_1]");
    assert_eq!(vault.unmask(&text), "[EMAIL_1] is not ann@example.com");
}

#[test]
fn administrators_have_the_last_word() {
    let redactor = Redactor::new([Kind::Email])
        .allow(r"[a-z]+@own\.example")
        .and_then(|redactor| redactor.mask("project code", r"\bPRJ-\d{4}\b"))
        .and_then(|redactor| redactor.deny("classified", r"(?i)top secret"))
        .unwrap();
    let (text, _) = redactor.text("ann@own.example, bob@else.example, PRJ-1234, 4111111111111111").unwrap();
    assert_eq!(text, "ann@own.example, [EMAIL_1], [PROJECT_CODE_1], 4111111111111111");
    let denied = redactor.request(&mut Request::new("This is TOP SECRET.")).unwrap_err();
    assert!(denied.to_string().contains("classified") && !denied.to_string().contains("TOP SECRET"));
    let error = Redactor::all().mask("x", "(").unwrap_err().to_string();
    assert!(error.contains("pattern `x`"), "{error}");
}

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("ann@example.com".to_owned()),
        Just("bob@example.org".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("+49 30 9018-2000".to_owned()),
        Just("[EMAIL_1]".to_owned()),
        Just("[M1_CARD_2".to_owned()),
        Just("]".to_owned()),
        Just("[".to_owned()),
        "[a-z ٠-٩é🦀,.]{0,8}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    /// What was masked comes back, whole and in pieces, however they are cut; and nothing of it leaves.
    #[test]
    fn masking_can_be_undone(text in texts(), sizes in prop::collection::vec(1_usize..7, 1..60)) {
        let (masked, vault) = Redactor::all().text(&text).unwrap();
        for value in ["ann@example.com", "bob@example.org", "4111 1111 1111 1111"] {
            prop_assert!(!masked.contains(value), "{}", masked);
        }
        prop_assert_eq!(vault.unmask(&masked), text.as_str());
        let mut unmasker = vault.unmasker();
        let (mut out, mut rest) = (String::new(), masked.as_str());
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
            let (piece, after) = rest.split_at(end);
            out.push_str(&unmasker.push(piece));
            rest = after;
        }
        out.push_str(&unmasker.finish());
        prop_assert_eq!(out, text);
    }

    #[test]
    fn nothing_panics(text in any::<String>()) {
        let (masked, vault) = Redactor::all().text(&text).unwrap();
        prop_assert_eq!(vault.unmask(&masked), text);
    }
}

#[test]
fn json_stays_json() {
    let text = "the password is: password = \"hunter2\\\"!x\" and the key -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
    let (masked, vault) = Redactor::all().text(text).unwrap();
    assert!(!masked.contains("MIIE"), "{masked}");
    let key = masked.split_whitespace().find(|word| word.starts_with("[SECRET_") && masked.ends_with(word)).unwrap();
    let answer = format!("{{\"key\": \"{key}\", \"unknown\": \"[EMAIL_7]\"}}");
    assert!(serde_json::from_str::<serde_json::Value>(&vault.unmask(&answer)).is_err(), "a line break within a string");
    let whole: serde_json::Value = serde_json::from_str(&vault.for_json().unmask(&answer)).unwrap();
    assert_eq!(whole["key"], "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----");
    assert_eq!(whole["unknown"], "[EMAIL_7]");
}

#[test]
fn kinds_have_names() {
    for kind in Kind::ALL {
        assert_eq!(Kind::named(&kind.label().to_ascii_lowercase().replace('_', "-")), Some(kind));
    }
    assert_eq!((Kind::named("national-id"), Kind::named("NATIONAL_ID")), (Some(Kind::NationalId), None));
}
