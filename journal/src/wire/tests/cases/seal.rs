//! Examples of the events of seals.

use domain::seal::{Digest, KeyIntroduced, KeyRotated, PublicKey, Sealed, Signature};
use domain::{Event, SealEvent};

use super::moment;

fn counting<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|place| from.wrapping_add(u8::try_from(place).unwrap()))
}

pub(super) fn full() -> Vec<Event> {
    let digest = |from| Digest(counting(from));
    let signature = |from| Signature(counting(from));
    let events = [
        SealEvent::KeyIntroduced(KeyIntroduced {
            key: PublicKey(counting(1)),
            at: moment(31),
            digest: digest(2),
            signature: signature(3),
        }),
        SealEvent::KeyRotated(KeyRotated {
            key: PublicKey(counting(4)),
            retired: PublicKey(counting(1)),
            previous: digest(5),
            at: moment(32),
            digest: digest(6),
            by_retired: signature(7),
            by_new: signature(8),
        }),
        SealEvent::Sealed(Sealed {
            number: 12,
            first: 11_001,
            events: u64::MAX,
            root: digest(9),
            previous: digest(6),
            key: PublicKey(counting(4)),
            at: moment(33),
            digest: digest(10),
            signature: signature(11),
        }),
    ];
    events.map(Event::from).into()
}
