//! How the metadata of an event becomes bytes.
//!
//! The first byte is the version of the layout; the rest is postcard of the frozen struct of that version. Released
//! structs never change: a new field is a new version.

use domain::{Actor, ActorKind, CommandId, EventId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Metadata;

const VERSION_1: u8 = 1;

/// Version 1. Ids are 16 raw bytes; texts and options are postcard's.
#[derive(Serialize, Deserialize)]
struct MetadataV1 {
    actor_kind: ActorKindV1,
    actor_id: String,
    tenant: String,
    correlation: [u8; 16],
    causation: Option<[u8; 16]>,
    command: [u8; 16],
}

/// Version 1; new kinds go at the end.
#[derive(Serialize, Deserialize)]
enum ActorKindV1 {
    Person,
    ApiKey,
    Schedule,
    Agent,
    System,
}

impl From<ActorKind> for ActorKindV1 {
    fn from(kind: ActorKind) -> Self {
        match kind {
            ActorKind::Person => Self::Person,
            ActorKind::ApiKey => Self::ApiKey,
            ActorKind::Schedule => Self::Schedule,
            ActorKind::Agent => Self::Agent,
            ActorKind::System => Self::System,
        }
    }
}

impl From<ActorKindV1> for ActorKind {
    fn from(kind: ActorKindV1) -> Self {
        match kind {
            ActorKindV1::Person => Self::Person,
            ActorKindV1::ApiKey => Self::ApiKey,
            ActorKindV1::Schedule => Self::Schedule,
            ActorKindV1::Agent => Self::Agent,
            ActorKindV1::System => Self::System,
        }
    }
}

/// Encodes metadata in the newest version.
pub(crate) fn encode(metadata: &Metadata) -> Result<Vec<u8>, String> {
    let frozen = MetadataV1 {
        actor_kind: metadata.actor.kind.into(),
        actor_id: metadata.actor.id.clone(),
        tenant: metadata.tenant.clone(),
        correlation: metadata.correlation.into_bytes(),
        causation: metadata.causation.map(|id| id.as_uuid().into_bytes()),
        command: metadata.command.as_uuid().into_bytes(),
    };
    postcard::to_extend(&frozen, vec![VERSION_1]).map_err(|error| format!("the metadata cannot be encoded: {error}"))
}

/// Decodes metadata of any released version; every byte has to make sense.
pub(crate) fn decode(bytes: &[u8]) -> Result<Metadata, String> {
    let damaged = |what: String| format!("the metadata is damaged: {what}");
    match bytes.split_first() {
        Some((&VERSION_1, rest)) => {
            let (frozen, rest) =
                postcard::take_from_bytes::<MetadataV1>(rest).map_err(|error| damaged(error.to_string()))?;
            if !rest.is_empty() {
                return Err(damaged(format!("{} bytes too many", rest.len())));
            }
            Ok(Metadata {
                actor: Actor { kind: frozen.actor_kind.into(), id: frozen.actor_id },
                tenant: frozen.tenant,
                correlation: Uuid::from_bytes(frozen.correlation),
                causation: frozen.causation.map(|id| EventId::from_uuid(Uuid::from_bytes(id))),
                command: CommandId::from_uuid(Uuid::from_bytes(frozen.command)),
            })
        }
        Some((version, _)) => Err(damaged(format!("unknown version {version}"))),
        None => Err(damaged("it is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn sample() -> Metadata {
        Metadata {
            actor: Actor { kind: ActorKind::ApiKey, id: "key-7".to_owned() },
            tenant: "acme".to_owned(),
            correlation: Uuid::from_u128(1),
            causation: Some(EventId::from_uuid(Uuid::from_u128(2))),
            command: CommandId::from_uuid(Uuid::from_u128(3)),
        }
    }

    #[test]
    fn comes_back_as_it_went() {
        let bytes = encode(&sample()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), sample());
        let without = Metadata { causation: None, ..sample() };
        assert_eq!(decode(&encode(&without).unwrap()).unwrap(), without);
    }

    #[test]
    fn version_1_keeps_its_bytes() {
        let expected = [
            &[1, 1, 5][..],
            b"key-7",
            &[4],
            b"acme",
            &Uuid::from_u128(1).into_bytes(),
            &[1],
            &Uuid::from_u128(2).into_bytes(),
            &Uuid::from_u128(3).into_bytes(),
        ]
        .concat();
        assert_eq!(encode(&sample()).unwrap(), expected);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let mut bytes = encode(&sample()).unwrap();
        bytes.push(0);
        assert!(decode(&bytes).unwrap_err().contains("1 bytes too many"));
        bytes.truncate(bytes.len() - 2);
        assert!(decode(&bytes).is_err());
        assert!(decode(&[]).is_err());
        assert!(decode(&[9, 0]).unwrap_err().contains("unknown version 9"));
    }
}
