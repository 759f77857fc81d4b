//! Frozen events of seals.

use domain::seal::{Digest, KeyIntroduced, KeyRotated, PublicKey, Sealed, Signature};
use domain::{Event, SealEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::moment;
use super::{Encoded, Thaw, write};

/// Two halves, because the encoding knows arrays of at most 32 bytes.
type SignatureV1 = ([u8; 32], [u8; 32]);

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct KeyIntroducedV1 {
    key: [u8; 32],
    at_micros: i64,
    digest: [u8; 32],
    signature: SignatureV1,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct KeyRotatedV1 {
    key: [u8; 32],
    retired: [u8; 32],
    previous: [u8; 32],
    at_micros: i64,
    digest: [u8; 32],
    by_retired: SignatureV1,
    by_new: SignatureV1,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SealedV1 {
    number: u64,
    first: u64,
    events: u64,
    root: [u8; 32],
    previous: [u8; 32],
    key: [u8; 32],
    at_micros: i64,
    digest: [u8; 32],
    signature: SignatureV1,
}

fn halves(signature: &Signature) -> SignatureV1 {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    let bytes = signature.0.iter();
    first.iter_mut().chain(&mut second).zip(bytes).for_each(|(to, from)| *to = *from);
    (first, second)
}

fn whole((first, second): SignatureV1) -> Signature {
    let mut bytes = [0; 64];
    bytes.iter_mut().zip(first.into_iter().chain(second)).for_each(|(to, from)| *to = from);
    Signature(bytes)
}

pub(super) fn freeze(event: &SealEvent) -> Result<Encoded, String> {
    match event {
        SealEvent::KeyIntroduced(KeyIntroduced { key, at, digest, signature }) => write(&KeyIntroducedV1 {
            key: key.0,
            at_micros: at.as_micros(),
            digest: digest.0,
            signature: halves(signature),
        }),
        SealEvent::KeyRotated(KeyRotated { key, retired, previous, at, digest, by_retired, by_new }) => {
            write(&KeyRotatedV1 {
                key: key.0,
                retired: retired.0,
                previous: previous.0,
                at_micros: at.as_micros(),
                digest: digest.0,
                by_retired: halves(by_retired),
                by_new: halves(by_new),
            })
        }
        SealEvent::Sealed(Sealed { number, first, events, root, previous, key, at, digest, signature }) => {
            write(&SealedV1 {
                number: *number,
                first: *first,
                events: *events,
                root: root.0,
                previous: previous.0,
                key: key.0,
                at_micros: at.as_micros(),
                digest: digest.0,
                signature: halves(signature),
            })
        }
    }
}

impl Thaw for KeyIntroducedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(SealEvent::KeyIntroduced(KeyIntroduced {
            key: PublicKey(self.key),
            at: moment(self.at_micros),
            digest: Digest(self.digest),
            signature: whole(self.signature),
        })
        .into())
    }
}

impl Thaw for KeyRotatedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(SealEvent::KeyRotated(KeyRotated {
            key: PublicKey(self.key),
            retired: PublicKey(self.retired),
            previous: Digest(self.previous),
            at: moment(self.at_micros),
            digest: Digest(self.digest),
            by_retired: whole(self.by_retired),
            by_new: whole(self.by_new),
        })
        .into())
    }
}

impl Thaw for SealedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(SealEvent::Sealed(Sealed {
            number: self.number,
            first: self.first,
            events: self.events,
            root: Digest(self.root),
            previous: Digest(self.previous),
            key: PublicKey(self.key),
            at: moment(self.at_micros),
            digest: Digest(self.digest),
            signature: whole(self.signature),
        })
        .into())
    }
}
