//! From what a model wrote to the parts of an output.
//!
//! Models are asked for headed Markdown, or for JSON where their platform takes a schema, and write what they write. So
//! both are read, in English and Arabic, with headings of any kind, fences around JSON, and JSON that is half broken or
//! was cut off.
//!
//! Invariants: no text makes it fail or run away; nothing is in the output that is not in the text; whatever cannot be
//! told apart is part of the results.

mod lenient;
mod lists;
mod names;
mod object;
mod sections;

use domain::task::Output;

pub(crate) use lenient::parse as parse_json;

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The output, with what the text has of it.
    pub output: Output,
    /// Whether the model kept to the form: the results and at least one other part could be told apart.
    pub is_structured: bool,
}

/// Reads an answer for which every part was asked.
#[must_use]
pub fn read(text: &str) -> Reading {
    let mut output = object::read(text).or_else(|| sections::read(text)).unwrap_or_default();
    let others = [
        output.summary.is_some(),
        output.improvements.is_some(),
        output.critique.is_some(),
        output.alternatives.is_some(),
        output.actions.is_some(),
    ];
    let is_structured = !output.results.trim().is_empty() && others.contains(&true);
    if output.results.trim().is_empty() {
        // It said something else instead, and that is all there is.
        text.trim().clone_into(&mut output.results);
    }
    if output.data.is_none() {
        output.data = read_data(&output.results);
    }
    Reading { output, is_structured }
}

/// The data in an answer or its results: all of it, or else the first JSON in a fence.
#[must_use]
pub fn read_data(text: &str) -> Option<serde_json::Value> {
    let is_data = |value: &serde_json::Value| value.is_object() || value.is_array();
    serde_json::from_str(text).ok().filter(is_data).or_else(|| data(text))
}

/// The first JSON in a fence.
fn data(markdown: &str) -> Option<serde_json::Value> {
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim().strip_prefix("```") else { continue };
        let inside: Vec<&str> = lines.by_ref().take_while(|line| !line.trim().starts_with("```")).collect();
        if matches!(info.trim().to_ascii_lowercase().as_str(), "json" | "json5" | "jsonc")
            && let Some(value) = parse_json(&inside.join("\n")).filter(|value| value.is_object() || value.is_array())
        {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
