//! What frozen structs may look like, checked on their source and on their layouts.

use std::fs;
use std::path::{Path, PathBuf};

use postcard_schema::schema::owned::{OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType};

use super::super::*;

/// Attributes such as `tag`, `untagged`, `flatten`, `skip_serializing_if` and `default` change or break the bytes, so
/// the only one allowed is the one that leaves them alone.
#[test]
fn no_attribute_touches_the_bytes() {
    let mut structs = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire")) {
        let source = fs::read_to_string(&path).unwrap();
        for line in source.lines() {
            structs += usize::from(line.contains("Deserialize, Schema)]"));
            let attribute = line.contains("#[") && (line.contains("serde(") || line.contains("postcard("));
            assert!(
                !attribute || line.replace("#[serde(borrow)]", "").find("#[").is_none(),
                "{}: `{}` is not allowed on a frozen struct",
                path.display(),
                line.trim()
            );
            assert!(!line.contains("serde_with") && !line.contains("impl Serialize"), "{}: {line}", path.display());
        }
    }
    assert!(structs >= types().len(), "the frozen structs were not found; has their derive line changed?");
}

/// The files of the codec, its tests excepted.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let below = folders.iter().filter(|folder| !folder.ends_with("tests")).flat_map(|folder| sources(folder));
    files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")).chain(below).collect()
}

#[test]
fn layouts_hold_nothing_that_differs_between_machines() {
    for known in types() {
        for version in known.versions {
            check(&version.schema(), known.name);
        }
    }
}

fn check(schema: &OwnedNamedType, event: &str) {
    match &schema.ty {
        Type::F32 | Type::F64 | Type::Usize | Type::Isize | Type::Map { .. } | Type::Schema => {
            panic!("`{event}` holds {}", schema.name)
        }
        Type::Option(inner) | Type::Seq(inner) | Type::NewtypeStruct(inner) => check(inner, event),
        Type::Tuple(inner) | Type::TupleStruct(inner) => inner.iter().for_each(|inner| check(inner, event)),
        Type::Struct(fields) => fields.iter().for_each(|field| check(&field.ty, event)),
        Type::Enum(variants) => variants.iter().for_each(|variant| match &variant.ty {
            Variant::UnitVariant => {}
            Variant::NewtypeVariant(inner) => check(inner, event),
            Variant::TupleVariant(inner) => inner.iter().for_each(|inner| check(inner, event)),
            Variant::StructVariant(fields) => fields.iter().for_each(|field| check(&field.ty, event)),
        }),
        _ => {}
    }
}
