//! Payloads with something personal in them: the event without it, in clear, and beside it the whole event, sealed under
//! the key of the person whom it is about (AES-256-GCM).
//!
//! Invariants: what is sealed is bound to its event (id, stream, type, version), so it opens nowhere else; the hash of the
//! event covers the sealed bytes, so it holds whether or not the key is there; without the key the event reads as it
//! does in clear, with `[erased]` in the place of what was personal.

use domain::{Event, EventId, StreamId, SubjectId};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CODEC_SEALED, DecodeError, Encoded, personal, read};

/// What stands in a sealed payload, by postcard. Released, so it never changes.
#[derive(Debug, Serialize, Deserialize)]
struct SealedV1<'a> {
    subject: [u8; 16],
    nonce: [u8; NONCE_LEN],
    /// The whole event's frozen struct, encrypted, with its tag.
    sealed: &'a [u8],
    /// The frozen struct of the event without what is personal.
    open: &'a [u8],
}

/// A subject's key. Its bytes are shown nowhere.
#[derive(Clone)]
pub struct SubjectKey {
    subject: SubjectId,
    key: std::sync::Arc<LessSafeKey>,
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectKey(of {})", self.subject)
    }
}

/// Where a sealed payload belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) event: EventId,
    pub(crate) stream: StreamId,
    pub(crate) event_type: &'a str,
    pub(crate) schema_version: u16,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Self { event, stream, event_type, schema_version } = self;
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(event.as_uuid().as_bytes());
        bytes.extend_from_slice(stream.id.as_bytes());
        bytes.extend_from_slice(&schema_version.to_le_bytes());
        bytes.extend_from_slice(stream.category.name().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(event_type.as_bytes());
        bytes
    }
}

impl SubjectKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// Never for 32 bytes, as far as the library says.
    pub fn new(subject: SubjectId, bytes: &[u8; 32]) -> Result<Self, String> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| "this is no key of AES-256-GCM".to_owned())?;
        Ok(Self { subject, key: std::sync::Arc::new(LessSafeKey::new(key)) })
    }

    /// Whose it is.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        self.subject
    }

    fn seal(&self, whole: Vec<u8>, place: Place<'_>) -> Result<(Vec<u8>, [u8; NONCE_LEN]), String> {
        // Random: far fewer than 2^32 events are about one person.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut bytes = whole;
        let aad = Aad::from(place.bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .map_err(|_| "it cannot be sealed".to_owned())?;
        Ok((bytes, nonce))
    }

    fn open(&self, sealed: &SealedV1<'_>, place: Place<'_>) -> Option<Vec<u8>> {
        let mut bytes = sealed.sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let length = self.key.open_in_place(nonce, Aad::from(place.bytes()), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// How what is personal in an append is kept.
#[derive(Debug, Clone)]
pub enum Keeping {
    /// Under this key.
    Sealed(SubjectKey),
    /// Not at all: whom it is about has been erased.
    Erased,
}

/// The event's bytes, with what is personal sealed or left out; as it is when there is nothing personal in it.
pub(crate) fn encode(event: &Event, keeping: &Keeping, id: EventId, stream: StreamId) -> Result<Encoded, String> {
    let Some(bare) = personal::without(event) else { return super::encode(event) };
    let open = super::encode(&bare)?;
    let key = match keeping {
        Keeping::Erased => return Ok(open),
        Keeping::Sealed(key) => key,
    };
    let whole = super::encode(event)?;
    let place = Place { event: id, stream, event_type: whole.event_type, schema_version: whole.schema_version };
    let (sealed, nonce) = key.seal(whole.payload, place)?;
    let subject = key.subject.as_uuid().into_bytes();
    let payload = postcard::to_stdvec(&SealedV1 { subject, nonce, sealed: &sealed, open: &open.payload });
    let payload = payload.map_err(|error| error.to_string())?;
    Ok(Encoded { payload, codec: CODEC_SEALED, ..whole })
}

fn parts(payload: &[u8]) -> Result<SealedV1<'_>, String> {
    read(payload)
}

/// The event as everybody may read it.
pub(super) fn decode_open(event_type: &str, version: u16, payload: &[u8]) -> Option<Result<Event, String>> {
    match parts(payload) {
        Ok(sealed) => super::registry::decode(event_type, version, sealed.open),
        Err(what) => Some(Err(what)),
    }
}

/// Whom a sealed payload is about.
pub(crate) fn subject(payload: &[u8]) -> Option<SubjectId> {
    parts(payload).ok().map(|sealed| SubjectId::from_uuid(Uuid::from_bytes(sealed.subject)))
}

/// The whole event, with the key of whom it is about.
pub(crate) fn open(payload: &[u8], key: &SubjectKey, place: Place<'_>) -> Result<Event, DecodeError> {
    let damaged = |what: String| DecodeError::Damaged {
        event_type: place.event_type.to_owned(),
        version: place.schema_version,
        what,
    };
    let sealed = parts(payload).map_err(damaged)?;
    let whole = key.open(&sealed, place).ok_or_else(|| damaged("what is sealed in it does not open".to_owned()))?;
    super::decode(place.event_type, place.schema_version, super::CODEC_POSTCARD, &whole)
}
