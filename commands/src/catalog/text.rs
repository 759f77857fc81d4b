//! A text in a catalogue file: a plain one, which is English, or one with its languages.

use std::fmt;

use domain::Bilingual;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// As it stands in a file, without the line break at the end of a YAML block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text(pub(super) Bilingual);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Languages {
    en: String,
    #[serde(default)]
    ar: Option<String>,
}

/// What belongs where a text belongs.
pub(super) const EXPECTED: &str = "a text, or a text in each language ({ en: …, ar: … })";

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Bilingual { en: prose(text), ar: None }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        let Languages { en, ar } = Languages::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Text(Bilingual { en: prose(&en), ar: ar.as_deref().map(prose) }))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Bilingual { en, ar: None } => serializer.serialize_str(en),
            Bilingual { en, ar: Some(ar) } => {
                let mut fields = serializer.serialize_struct("Text", 2)?;
                fields.serialize_field("en", en)?;
                fields.serialize_field("ar", ar)?;
                fields.end()
            }
        }
    }
}

/// Prose as people mean it: a YAML block ends with a line break that is no part of the text.
pub(super) fn prose(text: &str) -> String {
    text.trim_end().to_owned()
}
