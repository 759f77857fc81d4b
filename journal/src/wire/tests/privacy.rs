//! What is personal is declared, sealed, and gone without its key.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Category, EventId, StreamId, SubjectId};
use postcard_schema::schema::owned::{OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType};
use serde_json::Value;
use uuid::Uuid;

use super::super::personal::{ERASED, PERSONAL, PLAIN};
use super::super::sealed::{self, Keeping, Place, SubjectKey};
use super::super::*;
use super::cases;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn key(subject: u128) -> SubjectKey {
    SubjectKey::new(SubjectId::from_uuid(id(subject)), &[7; 32]).unwrap()
}

const STREAM: StreamId = StreamId { category: Category::Run, id: Uuid::from_u128(2) };

fn seal(event: &Event) -> Encoded {
    sealed::encode(event, &Keeping::Sealed(key(5)), EventId::from_uuid(id(1)), STREAM).unwrap()
}

/// Whether text can stand somewhere in it.
fn holds_text(schema: &OwnedNamedType) -> bool {
    match &schema.ty {
        Type::String | Type::ByteArray => true,
        Type::Option(inner) | Type::Seq(inner) | Type::NewtypeStruct(inner) => holds_text(inner),
        Type::Tuple(inner) | Type::TupleStruct(inner) => inner.iter().any(holds_text),
        Type::Struct(fields) => fields.iter().any(|field| holds_text(&field.ty)),
        Type::Enum(variants) => variants.iter().any(|variant| match &variant.ty {
            Variant::UnitVariant => false,
            Variant::NewtypeVariant(inner) => holds_text(inner),
            Variant::TupleVariant(inner) => inner.iter().any(holds_text),
            Variant::StructVariant(fields) => fields.iter().any(|field| holds_text(&field.ty)),
        }),
        _ => false,
    }
}

/// A new field of a run, a task or an action item that can hold text must be declared, whichever it is.
#[test]
fn every_field_that_can_hold_text_is_declared() {
    let table = |list: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        list.iter()
            .map(|(event, fields)| ((*event).to_owned(), fields.iter().map(|field| (*field).to_owned()).collect()))
            .collect()
    };
    let (personal, plain) = (table(PERSONAL), table(PLAIN));
    for event in types().iter().filter(|event| ["run.", "task.", "action."].iter().any(|of| event.name.starts_with(of)))
    {
        let schema = event.versions.last().unwrap().schema();
        let Type::Struct(fields) = &schema.ty else { continue };
        let none = BTreeSet::new();
        let personal = personal.get(event.name).unwrap_or(&none);
        let plain = plain.get(event.name).unwrap_or(&none);
        assert!(personal.is_disjoint(plain), "{}", event.name);
        // A hash has no text in it, but what it was made of can be guessed from it.
        let all: BTreeSet<String> = fields.iter().map(|field| field.name.clone()).collect();
        let texts: BTreeSet<String> =
            fields.iter().filter(|field| holds_text(&field.ty)).map(|field| field.name.clone()).collect();
        let declared: BTreeSet<String> = personal.union(plain).cloned().collect();
        let missing: Vec<_> = texts.difference(&declared).collect();
        assert!(missing.is_empty(), "`{}` has fields that are neither personal nor plain: {missing:?}", event.name);
        let unknown: Vec<_> = declared.difference(&all).collect();
        assert!(unknown.is_empty(), "`{}` has no fields {unknown:?}", event.name);
    }
    let names: BTreeSet<&str> = types().iter().map(|event| event.name).collect();
    assert!(personal.keys().chain(plain.keys()).all(|name| names.contains(name.as_str())));
}

/// The declaration is what is done.
#[test]
fn what_is_declared_is_erased_and_nothing_else() {
    let fields = |event: &Event| -> BTreeMap<String, Value> {
        let tagged = match event {
            Event::Run(event) => serde_json::to_value(event).unwrap(),
            Event::Task(event) => serde_json::to_value(event).unwrap(),
            Event::Action(event) => serde_json::to_value(event).unwrap(),
            _ => return BTreeMap::new(),
        };
        let inner = tagged.as_object().and_then(|tagged| tagged.values().next()).and_then(Value::as_object).cloned();
        inner.unwrap_or_default().into_iter().collect()
    };
    let mut seen = BTreeSet::new();
    for (case, event) in cases::all() {
        let declared = PERSONAL.iter().find(|(name, _)| *name == event.name()).map(|(_, fields)| *fields);
        let Some(bare) = super::super::personal::without(&event) else {
            assert_eq!(declared, None, "{} {case}", event.name());
            continue;
        };
        let (before, after) = (fields(&event), fields(&bare));
        for (field, value) in &before {
            let same = after.get(field) == Some(value);
            let personal = declared.unwrap().contains(&field.as_str());
            assert!(personal || same, "{} {case}: {field} was changed", event.name());
        }
        for field in declared.unwrap() {
            let value = after.get(*field).unwrap_or_else(|| panic!("{} has no {field}", event.name()));
            let text = value.to_string();
            let zero = *value == serde_json::to_value([0_u8; 32]).unwrap();
            assert!(
                zero || text == "[]" || text == "null" || text.contains(ERASED),
                "{} {case}: {field} is {text}",
                event.name()
            );
        }
        seen.insert(event.name());
    }
    assert_eq!(seen.len(), PERSONAL.len());
}

#[test]
fn what_is_sealed_opens_with_its_key_in_its_place_alone() {
    let place = |encoded: &Encoded, event: u128, stream: StreamId| -> Event {
        let place = Place {
            event: EventId::from_uuid(id(event)),
            stream,
            event_type: encoded.event_type,
            schema_version: encoded.schema_version,
        };
        sealed::open(&encoded.payload, &key(5), place).unwrap_or_else(|_| domain::AgentEvent::Enabled.into())
    };
    let shut = Event::from(domain::AgentEvent::Enabled);
    for (case, event) in cases::all() {
        let encoded = seal(&event);
        let Some(bare) = super::super::personal::without(&event) else {
            assert_eq!(encoded, encode(&event).unwrap(), "{case}");
            continue;
        };
        assert_eq!(encoded.codec, CODEC_SEALED);
        assert_eq!(sealed::subject(&encoded.payload), Some(SubjectId::from_uuid(id(5))));
        assert_eq!(place(&encoded, 1, STREAM), event, "{case}");
        assert_eq!(place(&encoded, 9, STREAM), shut);
        assert_eq!(place(&encoded, 1, StreamId { id: id(9), ..STREAM }), shut);
        let without = decode(encoded.event_type, encoded.schema_version, CODEC_SEALED, &encoded.payload).unwrap();
        assert_eq!(without, bare, "{case}");
        let erased = sealed::encode(&event, &Keeping::Erased, EventId::from_uuid(id(1)), STREAM).unwrap();
        assert_eq!(erased, encode(&bare).unwrap());
    }
    let other = SubjectKey::new(SubjectId::from_uuid(id(5)), &[8; 32]).unwrap();
    let encoded = seal(&super::with_json(serde_json::json!("Ada lives here")));
    assert!(!encoded.payload.windows(4).any(|part| part == b"live"));
    let here = Place {
        event: EventId::from_uuid(id(1)),
        stream: STREAM,
        event_type: encoded.event_type,
        schema_version: encoded.schema_version,
    };
    assert!(sealed::open(&encoded.payload, &other, here).is_err());
    for length in 0..encoded.payload.len() {
        assert!(decode(encoded.event_type, encoded.schema_version, CODEC_SEALED, &encoded.payload[..length]).is_err());
    }
}
