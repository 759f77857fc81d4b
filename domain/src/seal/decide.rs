use super::{KeyRotated, PublicKey, Sealed};
use crate::{Refusal, SealCommand, SealEvent, Seals};

/// Why the seals refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealRefusal {
    /// A first key is to be introduced, but there is one.
    #[error("the journal is sealed with the key {0} already; `hishamos audit rotate-key` hands over to another one")]
    KeyExists(PublicKey),
    /// A statement does not follow the last one: somebody else has sealed meanwhile, or handed over the key.
    #[error("the statement does not follow the last one of the journal; look again and make another")]
    NotNext,
}

impl Refusal for SealRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::KeyExists(_) => "SEAL_KEY_EXISTS",
            Self::NotNext => "SEAL_NOT_NEXT",
        }
    }
}

pub(super) fn decide(state: &Seals, command: SealCommand) -> Result<Vec<SealEvent>, SealRefusal> {
    match command {
        SealCommand::Introduce(introduced) => match state.key() {
            None => Ok(vec![SealEvent::KeyIntroduced(introduced)]),
            Some(key) if key == introduced.key => Ok(vec![]),
            Some(key) => Err(SealRefusal::KeyExists(key)),
        },
        SealCommand::Rotate(rotated) if hands_over(state, &rotated) => Ok(vec![SealEvent::KeyRotated(rotated)]),
        SealCommand::Seal(sealed) if follows(state, &sealed) => Ok(vec![SealEvent::Sealed(sealed)]),
        SealCommand::Rotate(_) | SealCommand::Seal(_) => Err(SealRefusal::NotNext),
    }
}

fn hands_over(state: &Seals, rotated: &KeyRotated) -> bool {
    state.key() == Some(rotated.retired) && state.last() == Some(rotated.previous) && rotated.key != rotated.retired
}

fn follows(state: &Seals, sealed: &Sealed) -> bool {
    state.key() == Some(sealed.key)
        && state.last() == Some(sealed.previous)
        && state.number().checked_add(1) == Some(sealed.number)
        && state.sealed().checked_add(1) == Some(sealed.first)
        && sealed.events > 0
        && sealed.first.checked_add(sealed.events).is_some()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use cqrs_es::Aggregate;

    use super::*;
    use crate::seal::{Digest, KeyIntroduced, Signature};
    use crate::{Decide, Timestamp};

    const KEY: PublicKey = PublicKey([1; 32]);
    const OTHER: PublicKey = PublicKey([2; 32]);
    const AT: Timestamp = Timestamp::from_micros(5);

    fn introduced(key: PublicKey) -> KeyIntroduced {
        KeyIntroduced { key, at: AT, digest: Digest([0; 32]), signature: Signature([0; 64]) }
    }

    fn sealed(number: u64, first: u64, events: u64) -> Sealed {
        let (previous, digest) = (number - 1, number);
        Sealed {
            number,
            first,
            events,
            root: Digest([7; 32]),
            previous: Digest([u8::try_from(previous).unwrap(); 32]),
            key: KEY,
            at: AT,
            digest: Digest([u8::try_from(digest).unwrap(); 32]),
            signature: Signature([0; 64]),
        }
    }

    fn after(commands: Vec<SealCommand>) -> Seals {
        let mut state = Seals::default();
        for command in commands {
            for event in state.decide(command).unwrap() {
                state.apply(event);
            }
        }
        state
    }

    #[test]
    fn there_is_one_first_key() {
        let state = after(vec![SealCommand::Introduce(introduced(KEY))]);
        assert_eq!(state.decide(SealCommand::Introduce(introduced(KEY))), Ok(vec![]));
        assert_eq!(state.decide(SealCommand::Introduce(introduced(OTHER))), Err(SealRefusal::KeyExists(KEY)));
    }

    #[test]
    fn a_seal_begins_where_the_last_one_ended() {
        assert_eq!(Seals::default().decide(SealCommand::Seal(sealed(1, 1, 9))), Err(SealRefusal::NotNext));
        let state = after(vec![SealCommand::Introduce(introduced(KEY)), SealCommand::Seal(sealed(1, 1, 9))]);
        assert_eq!((state.number(), state.sealed()), (1, 9));
        assert!(state.decide(SealCommand::Seal(sealed(2, 10, 1))).is_ok());
        let wrong = [
            sealed(1, 1, 9),
            sealed(2, 9, 1),
            sealed(2, 11, 1),
            sealed(2, 10, 0),
            sealed(3, 10, 1),
            Sealed { key: OTHER, ..sealed(2, 10, 1) },
            Sealed { previous: Digest([9; 32]), ..sealed(2, 10, 1) },
        ];
        for wrong in wrong {
            assert_eq!(state.decide(SealCommand::Seal(wrong)), Err(SealRefusal::NotNext));
        }
    }

    #[test]
    fn only_the_key_that_signs_hands_over() {
        let state = after(vec![SealCommand::Introduce(introduced(KEY))]);
        let rotated = KeyRotated {
            key: OTHER,
            retired: KEY,
            previous: Digest([0; 32]),
            at: AT,
            digest: Digest([3; 32]),
            by_retired: Signature([0; 64]),
            by_new: Signature([0; 64]),
        };
        assert!(state.decide(SealCommand::Rotate(rotated.clone())).is_ok());
        let wrong = [
            KeyRotated { retired: OTHER, ..rotated.clone() },
            KeyRotated { key: KEY, ..rotated.clone() },
            KeyRotated { previous: Digest([1; 32]), ..rotated },
        ];
        for wrong in wrong {
            assert_eq!(state.decide(SealCommand::Rotate(wrong)), Err(SealRefusal::NotNext));
        }
    }
}
