//! The bytes of a bundle.
//!
//! A file of events begins with [`MAGIC`]; then follows each event as a length (u32, little-endian) and that many bytes
//! of postcard of [`RecordV1`]. The manifest is indented JSON whose last field is the digest of the rest.

use std::io::{self, Read};

use domain::EventId;
use domain::seal::{Digest, PublicKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Position;
use crate::chain::Entry;
use crate::wire;

pub(super) const MAGIC: &[u8; 16] = b"hishamos events1";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SEALS: &str = "seals.bin";
pub(super) const SCHEMAS: &str = "schemas.json";
const FORMAT: &str = "hishamos journal bundle";
const VERSION: u32 = 1;
/// The longest event: a payload, its metadata and what else there is to say.
const MAX_RECORD: usize = wire::MAX_PAYLOAD + 1024 * 1024;

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The BLAKE3 hash of all of it.
    pub blake3: Digest,
    /// How many events it holds; 0 when it holds something else.
    pub events: u64,
    /// The position of its last event.
    pub last: u64,
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: String,
    pub(super) version: u32,
    /// The version of the program that made it.
    pub program: String,
    /// When it was begun, in microseconds since the Unix epoch.
    pub made_at_micros: i64,
    /// Whether the journal's positions have no gaps.
    pub gapless: bool,
    /// The events begin after this position.
    pub after: u64,
    /// How many events of the journal come before them.
    pub number: u64,
    /// The position that the bundle reaches to; the journal's head when it was begun, unless less was asked for.
    pub until: u64,
    /// The position of the journal's last event when it was begun.
    pub head: u64,
    /// How many events it holds.
    pub events: u64,
    /// The public keys of the seals, the first one first.
    pub keys: Vec<PublicKey>,
    /// Its files.
    pub files: Vec<File>,
    /// Of everything above.
    pub(super) digest: Digest,
}

impl Manifest {
    pub(super) fn new(gapless: bool, after: Position, until: Position, head: Position, made_at_micros: i64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_at_micros,
            gapless,
            after: after.as_u64(),
            number: 0,
            until: until.as_u64(),
            head: head.as_u64(),
            events: 0,
            keys: Vec::new(),
            files: Vec::new(),
            digest: Digest([0; 32]),
        }
    }

    /// Whether it holds the journal from the first event to what was its head.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.number == 0 && self.after == 0 && self.until == self.head
    }

    /// Its bytes, with the digest set.
    pub(super) fn render(&self) -> Result<Vec<u8>, String> {
        let mut whole = Self { digest: Digest([0; 32]), ..self.clone() };
        let text = |manifest: &Self| serde_json::to_vec_pretty(manifest).map_err(|error| error.to_string());
        whole.digest = Digest(blake3::derive_key("hishamos 2026 bundle manifest version 1", &text(&whole)?));
        let mut bytes = text(&whole)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// From its bytes, of which none may differ from what would be written.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            return Err(format!(
                "it is `{}` version {}, not `{FORMAT}` version {VERSION}",
                manifest.format, manifest.version
            ));
        }
        if manifest.render()? != bytes {
            return Err("its digest is not that of what it says: it was changed".to_owned());
        }
        Ok(manifest)
    }
}

/// An event. Nothing is interpreted, so that a damaged one is kept as it is.
#[derive(Serialize, Deserialize)]
struct RecordV1<'a> {
    position: u64,
    id: [u8; 16],
    category: &'a str,
    stream: [u8; 16],
    revision: u64,
    event_type: &'a str,
    schema_version: u16,
    codec: u8,
    recorded_at: i64,
    metadata: &'a [u8],
    payload: &'a [u8],
    previous_hash: &'a [u8],
    hash: &'a [u8],
    command: Option<[u8; 16]>,
}

/// Appends an event to a file's bytes.
pub(super) fn put(entry: &Entry, to: &mut Vec<u8>) -> Result<(), String> {
    let record = RecordV1 {
        position: entry.position.as_u64(),
        id: entry.id.as_uuid().into_bytes(),
        category: &entry.category,
        stream: entry.stream.into_bytes(),
        revision: entry.revision,
        event_type: &entry.event_type,
        schema_version: entry.schema_version,
        codec: entry.codec,
        recorded_at: entry.recorded_at,
        metadata: &entry.metadata,
        payload: &entry.payload,
        previous_hash: &entry.previous_hash,
        hash: &entry.hash,
        command: entry.command.map(Uuid::into_bytes),
    };
    let bytes = postcard::to_stdvec(&record).map_err(|error| error.to_string())?;
    let length = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&bytes);
    Ok(())
}

/// The next event of a file, behind its magic bytes; `None` at its end.
pub(super) fn take(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Entry>> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut length = [0; 4];
    match from.read(&mut length)? {
        0 => return Ok(None),
        read => from.read_exact(length.get_mut(read..).unwrap_or_default())?,
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_RECORD {
        return Err(damaged(format!("an event cannot have {length} bytes")));
    }
    buffer.resize(length, 0);
    from.read_exact(buffer)?;
    let (record, rest) =
        postcard::take_from_bytes::<RecordV1<'_>>(buffer).map_err(|error| damaged(error.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged(format!("{} bytes are left over", rest.len())));
    }
    Ok(Some(Entry {
        position: Position::from_u64(record.position),
        id: EventId::from_uuid(Uuid::from_bytes(record.id)),
        category: record.category.to_owned(),
        stream: Uuid::from_bytes(record.stream),
        revision: record.revision,
        event_type: record.event_type.to_owned(),
        schema_version: record.schema_version,
        codec: record.codec,
        recorded_at: record.recorded_at,
        metadata: record.metadata.to_vec(),
        payload: record.payload.to_vec(),
        previous_hash: record.previous_hash.to_vec(),
        hash: record.hash.to_vec(),
        command: record.command.map(Uuid::from_bytes),
    }))
}

/// Every layout that this program knows, for programs that read payloads without this one.
pub(super) fn schemas() -> Result<Vec<u8>, String> {
    #[derive(Serialize)]
    struct Schema {
        event_type: &'static str,
        version: u16,
        key: String,
        layout: postcard_schema::schema::owned::OwnedNamedType,
    }
    let all: Vec<Schema> = wire::types()
        .iter()
        .flat_map(|known| {
            known.versions.iter().map(|version| Schema {
                event_type: known.name,
                version: version.number,
                key: version.key_hex(),
                layout: version.schema(),
            })
        })
        .collect();
    serde_json::to_vec_pretty(&all).map_err(|error| error.to_string())
}
