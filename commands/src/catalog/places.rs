//! Where the fields of a YAML file stand, by their paths, such as `checklist[2].check`.
//!
//! The parser gives places for what it refuses itself; rules are judged on values that have forgotten theirs. What is
//! found here is for messages only: of a value in flow style (`{ … }`) the place of the field that holds it is known.

use std::collections::BTreeMap;

use super::Place;

/// Where fields stand, by their paths.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct FieldPlaces(BTreeMap<String, Place>);

/// A mapping or a list that lines still belong to.
enum Frame {
    Fields { indent: usize, path: String },
    Items { indent: usize, path: String, count: usize },
}

impl Frame {
    fn indent(&self) -> usize {
        match self {
            Self::Fields { indent, .. } | Self::Items { indent, .. } => *indent,
        }
    }
}

impl FieldPlaces {
    /// The places in a text that was read as YAML without complaint.
    pub(super) fn of(text: &str) -> Self {
        let mut index = Index::default();
        for (number, line) in (1..).zip(text.lines()) {
            index.line(number, line);
        }
        Self(index.places)
    }

    /// The place of exactly this path.
    #[cfg(test)]
    fn exact(&self, path: &str) -> Option<Place> {
        self.0.get(path).copied()
    }

    /// The place of a path, or of the nearest one that holds it.
    pub(super) fn nearest(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(*place);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}

#[derive(Default)]
struct Index {
    places: BTreeMap<String, Place>,
    frames: Vec<Frame>,
    /// A field or item that waits for what is in it.
    open: String,
    /// Lines deeper than this belong to a value that has begun already.
    value: Option<usize>,
}

impl Index {
    fn line(&mut self, number: u64, line: &str) {
        let mut content = line.trim_start_matches(' ');
        let mut indent = line.len() - content.len();
        if content.trim().is_empty() || content.starts_with('#') || self.value.is_some_and(|value| indent > value) {
            return;
        }
        self.value = None;
        // A dash may be followed by another, or by the first field of what the item is.
        while content == "-" || content.starts_with("- ") {
            self.item(number, indent);
            let rest = content.get(1..).unwrap_or_default();
            content = rest.trim_start_matches(' ');
            if content.is_empty() {
                return;
            }
            let width = 1 + rest.len() - content.len();
            if field(content).is_none() && !content.starts_with("- ") {
                self.value = Some(indent);
                return;
            }
            indent += width;
        }
        match field(content) {
            Some((name, value)) => self.field(number, indent, name, value),
            None => self.value = Some(indent),
        }
    }

    fn item(&mut self, number: u64, indent: usize) {
        while self.frames.last().is_some_and(|frame| frame.indent() > indent) {
            self.frames.pop();
        }
        let path = match self.frames.last_mut() {
            Some(Frame::Items { indent: at, path, count }) if *at == indent => {
                *count += 1;
                format!("{path}[{count}]")
            }
            _ => {
                let path = std::mem::take(&mut self.open);
                let first = format!("{path}[0]");
                self.frames.push(Frame::Items { indent, path, count: 0 });
                first
            }
        };
        self.remember(number, indent, &path);
        self.open = path;
    }

    fn field(&mut self, number: u64, indent: usize, name: &str, value: &str) {
        let above = |frame: &Frame| match frame {
            Frame::Fields { indent: at, .. } => *at > indent,
            Frame::Items { indent: at, .. } => *at >= indent,
        };
        while self.frames.last().is_some_and(above) {
            self.frames.pop();
        }
        let holder = match self.frames.last() {
            Some(Frame::Fields { indent: at, path }) if *at == indent => path.clone(),
            _ => {
                let path = std::mem::take(&mut self.open);
                self.frames.push(Frame::Fields { indent, path: path.clone() });
                path
            }
        };
        let path = if holder.is_empty() { name.to_owned() } else { format!("{holder}.{name}") };
        self.remember(number, indent, &path);
        if value.is_empty() || value.starts_with('#') {
            self.open = path;
        } else {
            self.value = Some(indent);
        }
    }

    fn remember(&mut self, line: u64, indent: usize, path: &str) {
        let column = u64::try_from(indent).unwrap_or(u64::MAX).saturating_add(1);
        self.places.entry(path.to_owned()).or_insert(Place { line, column });
    }
}

/// The name and the rest of a line that begins with `name:`.
fn field(content: &str) -> Option<(&str, &str)> {
    let (name, rest) = content.split_once(':')?;
    let is_name = !name.is_empty() && !name.starts_with(['{', '[', '#', '-']) && !name.contains(' ');
    (is_name && (rest.is_empty() || rest.starts_with(' '))).then(|| (name.trim_matches(['"', '\'']), rest.trim()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const FILE: &str = "\
# A comment: with a colon
key: greet
title: { en: Greet, ar: تحية }
parameters:
  type: object
  properties:
    who: { type: string }
    \"when\":
      type: string
      description: >-
        type: not a field
        when: neither

      title: When
checklist:
- text: Is short.
  check: { max_words: 10 }
- text:
    en: Is polite.
    ar: مهذب.
instructions: |
  checklist:
    - text: inside a text
matrix:
  -
    - one
    - - deep
  - name: two
    list:
      - three
last: \"a text
  with: a colon\"
end: true
";

    #[test]
    fn every_field_and_item_has_its_place() {
        let places = FieldPlaces::of(FILE);
        let at = |path: &str| places.exact(path).map(|place| (place.line, place.column));
        assert_eq!(at("key"), Some((2, 1)));
        assert_eq!(at("parameters.properties.who"), Some((7, 5)));
        assert_eq!(at("parameters.properties.when.description"), Some((10, 7)));
        assert_eq!(at("parameters.properties.when.title"), Some((14, 7)));
        assert_eq!(at("parameters.properties.when.when"), None);
        assert_eq!(at("checklist[0]"), Some((16, 1)));
        assert_eq!(at("checklist[0].text"), Some((16, 3)));
        assert_eq!(at("checklist[0].check"), Some((17, 3)));
        assert_eq!(at("checklist[1].text.ar"), Some((20, 5)));
        assert_eq!(at("instructions.checklist"), None);
        assert_eq!(at("matrix[0][0]"), Some((26, 5)));
        assert_eq!(at("matrix[0][1][0]"), Some((27, 7)));
        assert_eq!(at("matrix[1].list[0]"), Some((30, 7)));
        assert_eq!(at("last.with"), None);
        assert_eq!(at("end"), Some((33, 1)));
    }

    #[test]
    fn what_has_no_place_stands_where_its_holder_stands() {
        let places = FieldPlaces::of(FILE);
        assert_eq!(places.nearest("title.ar"), places.exact("title"));
        assert_eq!(places.nearest("checklist[0].check.max_words").unwrap().line, 17);
        assert_eq!(places.nearest("parameters.properties.who.x-title-ar").unwrap().line, 7);
        assert_eq!(places.nearest("nothing"), None);
    }
}
