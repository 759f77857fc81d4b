//! Check digits, so that a number is masked only if it can be what it looks like.

/// The digits of a text, whatever stands between them.
pub(super) fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Luhn (ISO/IEC 7812): cards, Emirates and Saudi ids.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match index % 2 {
            0 => *digit,
            _ if *digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// ISO 7064 MOD 97-10 over letters and digits, the country and check digits moved to the end (IBAN).
pub(super) fn iban(text: &str) -> bool {
    let compact: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let country: String = compact.iter().take(2).collect();
    if !IBAN_LENGTHS.iter().any(|(known, length)| *known == country && compact.len() == *length) {
        return false;
    }
    let turned = compact.iter().skip(4).chain(compact.iter().take(4));
    let mut rest = 0_u32;
    for c in turned {
        let Some(value) = c.to_digit(36) else { return false };
        rest = (rest * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    rest == 1
}

/// The lengths by country (SWIFT IBAN registry).
const IBAN_LENGTHS: [(&str, usize); 78] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VG", 24),
];

/// Verhoeff: Aadhaar.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    // The dihedral group D5, and the permutation applied to it by position.
    let times = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let turn = |digit: u32| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4].get(digit as usize).copied().unwrap_or(0);
    let check = digits.iter().rev().enumerate().fold(0, |check, (index, digit)| {
        let turned = (0..index % 8).fold(*digit, |digit, _| turn(digit));
        times(check, turned)
    });
    !digits.is_empty() && check == 0
}

/// Digits with weights, the sum divisible by `modulus`.
pub(super) fn weighted(digits: &[u32], weights: &[u32], modulus: u32) -> bool {
    digits.len() == weights.len()
        && digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum::<u32>().is_multiple_of(modulus)
}

/// The control letter of Spanish DNI and NIE.
pub(super) fn spanish(text: &str) -> bool {
    let compact: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let Some(letter) = compact.chars().last() else { return false };
    let number: String = compact
        .chars()
        .take(8)
        .map(|c| match c {
            'X' => '0',
            'Y' => '1',
            'Z' => '2',
            other => other,
        })
        .collect();
    let index = number.parse::<usize>().ok().map(|number| number % 23);
    index.and_then(|index| "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(index)) == Some(letter)
}

/// The control letter of the Italian codice fiscale.
pub(super) fn italian(text: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let values: Vec<u32> =
        text.chars().filter_map(|c| c.to_digit(10).or_else(|| c.to_digit(36).map(|value| value - 10))).collect();
    let Some((check, rest)) = values.split_last() else { return false };
    let sum: u32 = rest
        .iter()
        .enumerate()
        .map(|(index, value)| if index % 2 == 0 { ODD.get(*value as usize).copied().unwrap_or(0) } else { *value })
        .sum();
    rest.len() == 15 && sum % 26 == *check
}

/// The key of the French social security number: 97 less the rest of the number.
pub(super) fn french(digits: &[u32]) -> bool {
    let number = |digits: &[u32]| digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(*digit));
    digits.split_at_checked(13).is_some_and(|(body, key)| key.len() == 2 && 97 - number(body) % 97 == number(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_are_right_and_their_neighbours_wrong() {
        for card in ["4111 1111 1111 1111", "378282246310005", "5555555555554444", "6011000990139424"] {
            assert!(luhn(&digits(card)), "{card}");
        }
        assert!(!luhn(&digits("4111 1111 1111 1112")) && !luhn(&[]));
        for account in [
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "FR1420041010050500013M02606",
            "SA0380000000608010167519",
            "AE070331234567890123456",
            "EG380019000500000000263180002",
        ] {
            assert!(iban(account), "{account}");
        }
        assert!(!iban("DE89370400440532013001") && !iban("DE8937040044053201300") && !iban("XX00"));
        // Wikipedia, "Verhoeff algorithm".
        assert!(verhoeff(&digits("2363")) && !verhoeff(&digits("2364")) && !verhoeff(&digits("3263")));
        assert!(spanish("12345678Z") && spanish("X1234567L") && !spanish("12345678A"));
        assert!(italian("RSSMRA85T10A562S") && !italian("RSSMRA85T10A562T"));
        assert!(french(&digits("2 55 08 14 168 025 38")) && !french(&digits("255081416802539")));
        // PESEL.
        assert!(weighted(&digits("44051401359"), &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1], 10));
    }
}
