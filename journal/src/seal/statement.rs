//! What is signed: the digest of a canonical byte string of each statement.

use blake3::Hasher;
use domain::seal::{Digest, KeyIntroduced, KeyRotated, PublicKey, Sealed, Signature};
use domain::{SealEvent, Timestamp};
use ed25519_dalek::VerifyingKey;

use super::SecretKey;

const CONTEXT: &str = "hishamos 2026 seal statement version 1";
/// Before the digest in what is signed, so that the key cannot be made to sign anything else.
const SIGNED: &[u8] = b"hishamos 2026 seal statement version 1 signed:";

/// What is wrong with a statement, taken alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// It says something else than its digest covers.
    #[error("its digest is not that of what it says")]
    Digest,
    /// A signature was not made by the key that it names.
    #[error("its signature is not by the key {0}")]
    Signature(PublicKey),
}

fn hasher(kind: u8) -> Hasher {
    let mut hasher = Hasher::new_derive_key(CONTEXT);
    hasher.update(&[kind]);
    hasher
}

fn done(hasher: &Hasher) -> Digest {
    Digest(*hasher.finalize().as_bytes())
}

/// The digest of a statement, from its fields in the order that they have in the event, signatures excepted; numbers
/// and times are 64 bits, little-endian.
#[must_use]
pub fn digest(event: &SealEvent) -> Digest {
    match event {
        SealEvent::KeyIntroduced(KeyIntroduced { key, at, .. }) => {
            done(hasher(1).update(&key.0).update(&at.as_micros().to_le_bytes()))
        }
        SealEvent::KeyRotated(KeyRotated { key, retired, previous, at, .. }) => {
            done(hasher(2).update(&key.0).update(&retired.0).update(&previous.0).update(&at.as_micros().to_le_bytes()))
        }
        SealEvent::Sealed(Sealed { number, first, events, root, previous, key, at, .. }) => done(
            hasher(3)
                .update(&number.to_le_bytes())
                .update(&first.to_le_bytes())
                .update(&events.to_le_bytes())
                .update(&root.0)
                .update(&previous.0)
                .update(&key.0)
                .update(&at.as_micros().to_le_bytes()),
        ),
    }
}

pub(super) fn signed(digest: Digest) -> Vec<u8> {
    [SIGNED, &digest.0].concat()
}

/// Whether a statement's digest and signatures are right.
///
/// # Errors
/// What is wrong.
pub fn check(event: &SealEvent) -> Result<(), StatementFault> {
    if digest(event) != event.digest() {
        return Err(StatementFault::Digest);
    }
    let by = |key: PublicKey, signature: &Signature| {
        let wrong = StatementFault::Signature(key);
        let verifying = VerifyingKey::from_bytes(&key.0).map_err(|_| wrong)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        verifying.verify_strict(&signed(event.digest()), &signature).map_err(|_| wrong)
    };
    match event {
        SealEvent::KeyIntroduced(introduced) => by(introduced.key, &introduced.signature),
        SealEvent::KeyRotated(rotated) => {
            by(rotated.retired, &rotated.by_retired)?;
            by(rotated.key, &rotated.by_new)
        }
        SealEvent::Sealed(sealed) => by(sealed.key, &sealed.signature),
    }
}

const UNSIGNED: Signature = Signature([0; 64]);
const NO_DIGEST: Digest = Digest([0; 32]);

/// A statement that introduces the first key.
#[must_use]
pub fn introduce(key: &SecretKey, at: Timestamp) -> KeyIntroduced {
    let mut made = KeyIntroduced { key: key.public(), at, digest: NO_DIGEST, signature: UNSIGNED };
    made.digest = digest(&SealEvent::KeyIntroduced(made.clone()));
    made.signature = key.sign(made.digest);
    made
}

/// A statement that hands over from one key to another.
#[must_use]
pub fn rotate(retired: &SecretKey, new: &SecretKey, previous: Digest, at: Timestamp) -> KeyRotated {
    let mut made = KeyRotated {
        key: new.public(),
        retired: retired.public(),
        previous,
        at,
        digest: NO_DIGEST,
        by_retired: UNSIGNED,
        by_new: UNSIGNED,
    };
    made.digest = digest(&SealEvent::KeyRotated(made.clone()));
    made.by_retired = retired.sign(made.digest);
    made.by_new = new.sign(made.digest);
    made
}

/// Signs a seal; its key, digest and signature are set here.
#[must_use]
pub fn seal(key: &SecretKey, mut made: Sealed) -> Sealed {
    made.key = key.public();
    made.digest = digest(&SealEvent::Sealed(made.clone()));
    made.signature = key.sign(made.digest);
    made
}

/// A seal that is not signed yet.
#[must_use]
pub fn unsigned(number: u64, first: u64, events: u64, root: Digest, previous: Digest, at: Timestamp) -> Sealed {
    let key = PublicKey([0; 32]);
    Sealed { number, first, events, root, previous, key, at, digest: NO_DIGEST, signature: UNSIGNED }
}
