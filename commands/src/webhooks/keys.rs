//! The secrets of webhooks: nobody keeps them, they are computed from one master key whenever they are needed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::webhook::{KeyPrint, Signing};
use domain::{Key, WebhookId};
use hkdf::Hkdf;
use sha2::Sha256;

/// The master key; cheap to clone, and shown nowhere.
#[derive(Clone)]
pub struct Keys {
    master: Hkdf<Sha256>,
    print: KeyPrint,
}

/// A secret that follows from a master key which is not the one at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret follows from the master key {wanted}, but the key at hand is {known}; give every node the same key file, \
     or rotate the webhook's secret"
)]
pub struct OtherKey {
    /// The print of the key that is needed.
    pub wanted: KeyPrint,
    /// The print of the key that there is.
    pub known: KeyPrint,
}

/// What both sides sign with. Standard Webhooks writes it as `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; Secret::BYTES]);

impl Keys {
    /// How long a master key is, in bytes.
    pub const BYTES: usize = 32;

    /// From the master key: random, and the same on every node.
    #[must_use]
    pub fn new(master: &[u8; Self::BYTES]) -> Self {
        let master = Hkdf::<Sha256>::new(Some(b"hishamos 2026 webhooks"), master);
        let print: [u8; 8] = expand(&master, &[b"print"]);
        Self { master, print: KeyPrint(u64::from_be_bytes(print)) }
    }

    /// Tells the key apart from others; it goes into events.
    #[must_use]
    pub fn print(&self) -> KeyPrint {
        self.print
    }

    /// A secret of a webhook.
    ///
    /// # Errors
    /// When it follows from another master key.
    pub fn secret(&self, webhook: WebhookId, signing: Signing) -> Result<Secret, OtherKey> {
        if signing.key != self.print {
            return Err(OtherKey { wanted: signing.key, known: self.print });
        }
        let generation = signing.generation.to_be_bytes();
        Ok(Secret(expand(&self.master, &[b"outgoing", webhook.as_uuid().as_bytes(), &generation])))
    }

    /// The secret by which what is posted for a trigger is signed, when no other one is configured.
    #[must_use]
    pub fn incoming(&self, trigger: &Key) -> Secret {
        Secret(expand(&self.master, &[b"incoming", trigger.as_str().as_bytes()]))
    }
}

/// RFC 5869, section 2.3. It fails only for more than 255 times 32 bytes; then the bytes would stay zero.
fn expand<const N: usize>(master: &Hkdf<Sha256>, info: &[&[u8]]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut bytes = [0; N];
    let expanded = master.expand_multi_info(info, &mut bytes);
    debug_assert!(expanded.is_ok(), "32 bytes are always possible");
    bytes
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.print)
    }
}

impl Secret {
    /// How long a secret is, in bytes; Standard Webhooks allows 24 to 64.
    pub const BYTES: usize = 32;

    /// The bytes that sign.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In the form that Standard Webhooks gives it, to be shown once to whoever subscribes.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn signing(keys: &Keys, generation: u32) -> Signing {
        Signing { generation, key: keys.print() }
    }

    #[test]
    fn secrets_follow_from_the_key_and_what_they_are_for() {
        let keys = Keys::new(&[7; 32]);
        let webhook = |number| WebhookId::from_uuid(Uuid::from_u128(number));
        let first = keys.secret(webhook(1), signing(&keys, 1)).unwrap();
        assert_eq!(first, Keys::new(&[7; 32]).secret(webhook(1), signing(&keys, 1)).unwrap());
        let others = [
            keys.secret(webhook(1), signing(&keys, 2)).unwrap(),
            keys.secret(webhook(2), signing(&keys, 1)).unwrap(),
            keys.incoming(&"x".parse().unwrap()),
        ];
        assert!(others.iter().all(|other| *other != first));
        assert_eq!(first.reveal().len(), "whsec_".len() + 44);
    }

    #[test]
    fn another_key_is_told_and_nothing_is_shown() {
        let (keys, other) = (Keys::new(&[7; 32]), Keys::new(&[8; 32]));
        let refused = other.secret(WebhookId::from_uuid(Uuid::nil()), signing(&keys, 1)).unwrap_err();
        assert_eq!((refused.wanted, refused.known), (keys.print(), other.print()));
        let secret = keys.incoming(&"x".parse().unwrap());
        assert_eq!(format!("{secret:?} {keys:?}"), format!("Secret(hidden) Keys({})", keys.print()));
    }
}
