//! The proof that one event stands in the sealed journal, for somebody who has neither the journal nor this program's
//! database: the event, its path to the root, the seal, and the keys up to the one that signed.

use domain::seal::{Digest, PublicKey, Sealed};
use domain::{EventId, SealEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Book, statement, tree};
use crate::chain::Entry;
use crate::{Journal, Position, ReadError};

/// Which proofs these are.
const FORMAT: &str = "hishamos inclusion proof";
const VERSION: u32 = 1;

/// The event of a proof, with its bytes as stored, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvenEvent {
    id: Uuid,
    category: String,
    stream: Uuid,
    revision: u64,
    event_type: String,
    schema_version: u16,
    codec: u8,
    recorded_at_micros: i64,
    metadata: String,
    payload: String,
    previous_hash: String,
}

/// An inclusion proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    format: String,
    version: u32,
    /// The event's number in the order of the journal, from 1.
    number: u64,
    event: ProvenEvent,
    /// From the leaf to the root.
    path: Vec<Digest>,
    seal: Sealed,
    /// The key statements, from the first key to the one that signed the seal.
    keys: Vec<SealEvent>,
}

/// What a valid proof proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The event.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// Its number in the order of the journal.
    pub number: u64,
    /// The seal.
    pub seal: Sealed,
    /// The first key of the journal, on whom everything rests.
    pub first_key: PublicKey,
}

/// Why there is no proof, or why it proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The journal failed.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// No seal covers the event yet.
    #[error("no seal covers event {0} yet; one follows with the next seal")]
    Unsealed(EventId),
    /// The journal has no such event.
    #[error("the journal has no event {0}")]
    NotFound(EventId),
    /// The journal is damaged where the proof comes from.
    #[error("the journal does not fit seal {0}, so nothing can be proved; `hishamos audit verify` says more")]
    Damaged(u64),
    /// The file is no proof.
    #[error("this is no inclusion proof: {0}")]
    Malformed(String),
    /// It does not hold.
    #[error("the proof does not hold: {0}")]
    Wrong(String),
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(what: &str, text: &str) -> Result<Vec<u8>, ProofError> {
    let wrong = || ProofError::Malformed(format!("`{what}` is not hexadecimal"));
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(wrong());
    }
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.ok_or_else(wrong)?;
    Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect())
}

/// Proves an event that stands at a position.
///
/// # Errors
/// When it is not sealed yet, the journal is damaged there, or cannot be read.
pub async fn prove(journal: &dyn Journal, id: EventId, position: Position) -> Result<Proof, ProofError> {
    const PAGE: usize = 2000;
    let book = Book::read(journal, journal.head().await?).await?;
    // In a journal without gaps, positions number the events; elsewhere they have to be counted.
    let number = match journal.gapless() {
        true => position.as_u64(),
        false => number_of(journal, position).await?,
    };
    let range = book.ranges().iter().find(|range| (range.first..=range.last).contains(&number));
    let range = range.ok_or(ProofError::Unsealed(id))?;
    let mut after = match journal.gapless() {
        true => Position::from_u64(range.first - 1),
        false => Position::START,
    };
    let mut counted = if journal.gapless() { range.first - 1 } else { 0 };
    let (mut leaves, mut found) = (Vec::new(), None);
    'pages: loop {
        let page = journal.read_entries(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for entry in page {
            counted += 1;
            if counted > range.last {
                break 'pages;
            }
            if counted >= range.first {
                leaves.push(tree::leaf(&entry.hash));
            }
            if entry.position == position {
                found = Some(entry);
            }
        }
    }
    let entry = found.filter(|entry| entry.id == id).ok_or(ProofError::NotFound(id))?;
    let damaged = || ProofError::Damaged(range.number);
    let index = usize::try_from(number - range.first).map_err(|_| damaged())?;
    let path = tree::path(&leaves, index).ok_or_else(damaged)?;
    let mut keys = Vec::new();
    let mut seal = None;
    for statement in book.statements() {
        match statement {
            SealEvent::Sealed(sealed) if sealed.number == range.number => {
                seal = Some(sealed.clone());
                break;
            }
            SealEvent::Sealed(_) => {}
            key => keys.push(key.clone()),
        }
    }
    let proof = Proof {
        format: FORMAT.to_owned(),
        version: VERSION,
        number,
        event: ProvenEvent::of(&entry),
        path,
        seal: seal.ok_or_else(damaged)?,
        keys,
    };
    match proof.check() {
        Ok(_) => Ok(proof),
        Err(_) => Err(damaged()),
    }
}

async fn number_of(journal: &dyn Journal, position: Position) -> Result<u64, ReadError> {
    let (mut after, mut counted) = (Position::START, 0);
    loop {
        let page = journal.read_entries(after, 2000).await?;
        let Some(last) = page.last() else { return Ok(counted) };
        after = last.position;
        for entry in &page {
            counted += 1;
            if entry.position >= position {
                return Ok(counted);
            }
        }
    }
}

impl ProvenEvent {
    fn of(entry: &Entry) -> Self {
        Self {
            id: entry.id.as_uuid(),
            category: entry.category.clone(),
            stream: entry.stream,
            revision: entry.revision,
            event_type: entry.event_type.clone(),
            schema_version: entry.schema_version,
            codec: entry.codec,
            recorded_at_micros: entry.recorded_at,
            metadata: hex(&entry.metadata),
            payload: hex(&entry.payload),
            previous_hash: hex(&entry.previous_hash),
        }
    }

    fn entry(&self) -> Result<Entry, ProofError> {
        Ok(Entry {
            position: Position::START,
            id: EventId::from_uuid(self.id),
            category: self.category.clone(),
            stream: self.stream,
            revision: self.revision,
            event_type: self.event_type.clone(),
            schema_version: self.schema_version,
            codec: self.codec,
            recorded_at: self.recorded_at_micros,
            metadata: unhex("metadata", &self.metadata)?,
            payload: unhex("payload", &self.payload)?,
            previous_hash: unhex("previous_hash", &self.previous_hash)?,
            hash: Vec::new(),
            command: None,
        })
    }
}

impl Proof {
    /// From JSON.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let proof: Self = serde_json::from_str(text).map_err(|error| ProofError::Malformed(error.to_string()))?;
        if proof.format != FORMAT || proof.version != VERSION {
            let what = format!("it is `{}` version {}, not `{FORMAT}` version {VERSION}", proof.format, proof.version);
            return Err(ProofError::Malformed(what));
        }
        Ok(proof)
    }

    /// The event, as it was recorded; without its position and its own hash.
    ///
    /// # Errors
    /// When its bytes are no hexadecimal text.
    pub fn entry(&self) -> Result<Entry, ProofError> {
        self.event.entry()
    }

    /// Checks everything, from the event's bytes to the first key.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<Proven, ProofError> {
        let wrong = |what: &str| ProofError::Wrong(what.to_owned());
        let mut keys = self.keys.iter();
        let Some(SealEvent::KeyIntroduced(first)) = keys.next() else {
            return Err(wrong("it does not begin with the journal's first key"));
        };
        let mut key = first.key;
        for statement in &self.keys {
            statement::check(statement).map_err(|fault| ProofError::Wrong(fault.to_string()))?;
        }
        for statement in keys {
            match statement {
                SealEvent::KeyRotated(rotated) if rotated.retired == key => key = rotated.key,
                _ => return Err(wrong("its keys do not follow one another")),
            }
        }
        let seal = &self.seal;
        statement::check(&SealEvent::Sealed(seal.clone())).map_err(|fault| ProofError::Wrong(fault.to_string()))?;
        if seal.key != key {
            return Err(wrong("the seal is by a key that its keys do not lead to"));
        }
        let index = self.number.checked_sub(seal.first).ok_or_else(|| wrong("the seal does not cover the event"))?;
        let leaf = tree::leaf(&self.entry()?.computed_hash().0);
        if tree::root_by(leaf, index, seal.events, &self.path) != Some(seal.root) {
            return Err(wrong("the event does not lead to the root that was signed"));
        }
        Ok(Proven {
            event: EventId::from_uuid(self.event.id),
            event_type: self.event.event_type.clone(),
            number: self.number,
            seal: seal.clone(),
            first_key: first.key,
        })
    }
}
