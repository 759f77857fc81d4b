//! How models are asked for every part of an output.

use domain::task::Output;
use domain::template::TemplateBody;
use serde_json::{Value, json};

/// What stands below a prompt: how the parts are asked for, when they are, and data that fits the template's schema; `None`
/// when the template's own words say all. The headings stay in English whatever the language of the answer, because that is
/// what models keep to best; what comes back is read in both languages all the same.
#[must_use]
pub fn request(template: &TemplateBody, parts: bool) -> Option<String> {
    let (before, place) = match parts {
        true => (REQUEST, "\n\nUnder Results, after the text, put one block of code marked `json` with data"),
        false => ("", "Give data as well, as JSON alone or, beside text, in one block of code marked `json`,"),
    };
    match &template.output_schema {
        Some(schema) => Some(format!("{before}{place} that fits this JSON Schema:\n{schema}")),
        None => parts.then(|| before.to_owned()),
    }
}

const REQUEST: &str = "\
Give your answer in the following parts, in this order, each under its heading, exactly as written here, even if you \
write in another language. If you are held to JSON, each part is a field of that name in lower case with underscores.

## Summary
The essence in two to four sentences.

## Results
All that was asked for above, complete, with headings of level 3 or deeper. Nothing of it may be only in another part.

## Suggested improvements
A list of what would make the results better, and what you would need for it.

## Critique
What an experienced professional of the field would find fault with in the results, honestly, in a few sentences.

## Alternatives
A list of other ways to go about it, with what speaks for each.

## Action items
A list of what somebody has to do now, one line each: `- what | owner: who | due: YYYY-MM-DD | priority: high, medium or low`. \
Leave out owner and due unless they are given or follow from what is given; never invent a name or a date.

## Quality
`score: N/10` for the results as they are, then a list of its parts: `- accuracy: N/10`, `- completeness: N/10`, \
`- clarity: N/10`, `- usefulness: N/10`.

Where there is nothing for a part, write None under its heading.";

/// What an answer lacks that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacks {
    /// It had not the parts.
    pub parts: bool,
    /// What its data does not fit in the template's schema, one line each; empty when there is nothing.
    pub data: Vec<String>,
}

/// What is asked once when an answer had not the form, or no data that fits the template's schema.
#[must_use]
pub fn repair(template: &TemplateBody, lacks: &Lacks) -> String {
    let mut text = String::new();
    if lacks.parts {
        text.push_str(
            "That answer did not have the parts that were asked for. Write it again in the form that was asked for: Summary, \
             Results, Suggested improvements, Critique, Alternatives, Action items, Quality. Keep what you found; change its \
             form only, and leave nothing out of Results.",
        );
    }
    let Some(schema) = template.output_schema.as_ref().filter(|_| !lacks.data.is_empty()) else { return text };
    if lacks.parts {
        text.push_str("\n\nThe data in it");
    } else {
        text.push_str("The data in that answer");
    }
    text.push_str(" did not fit what was asked for:\n");
    lacks.data.iter().for_each(|problem| list(&mut text, problem));
    if !lacks.parts {
        text.push_str(
            "\nWrite the whole answer again, in the same form; keep what you found and change the data only.",
        );
    }
    text.push_str(" The data is one block of code marked `json` that fits this JSON Schema:\n");
    text.push_str(&schema.to_string());
    text
}

/// What is asked when an answer could be better: it is held against the template's checklist, with what a program has found
/// missing and what its author would improve.
#[must_use]
pub fn revise(template: &TemplateBody, failing: &[&str], answer: Option<&Output>) -> String {
    let mut text = String::from(
        "Review that answer as its critic, then write a better one. A good answer meets every item of this checklist:\n",
    );
    for item in &template.checklist {
        list(&mut text, &item.text.en);
    }
    if let Some(result) = &template.result {
        text.push_str("\nA good result contains: ");
        text.push_str(result.en.trim());
        text.push('\n');
    }
    if !failing.is_empty() {
        text.push_str("\nA program has checked the answer and found that these do not hold:\n");
        failing.iter().for_each(|item| list(&mut text, item));
    }
    let own = answer.and_then(|answer| answer.improvements.as_ref()).filter(|own| !own.is_empty());
    if let Some(own) = own {
        text.push_str("\nYou named these improvements yourself:\n");
        own.iter().for_each(|item| list(&mut text, item));
    }
    text.push_str(
        "\nWrite the whole answer again, complete, in the form that was asked for at first: Summary, Results, Suggested \
         improvements, Critique, Alternatives, Action items, Quality. Improve what you can with what you were given; \
         invent nothing to meet an item. Keep what was right. Under Suggested improvements and Critique, say only what \
         still holds of the new answer, and rate that one honestly.",
    );
    text
}

fn list(text: &mut String, item: &str) {
    text.push_str("- ");
    text.push_str(item.trim());
    text.push('\n');
}

/// The form as a JSON Schema, for platforms that hold a model to one.
#[must_use]
pub fn schema() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    let texts = |what: &str| json!({ "type": "array", "items": { "type": "string" }, "description": what });
    let maybe = |what: &str| json!({ "type": ["string", "null"], "description": what });
    let mark = || json!({ "type": "number", "description": "1 to 10" });
    object(json!({
        "summary": text("the essence in two to four sentences"),
        "results": text("all that was asked for, complete, as Markdown"),
        "suggested_improvements": texts("what would make the results better"),
        "critique": text("what a professional would find fault with"),
        "alternatives": texts("other ways to go about it"),
        "action_items": { "type": "array", "items": object(json!({
            "what": text("what has to be done"),
            "owner": maybe("who does it; null unless given"),
            "due": maybe("YYYY-MM-DD; null unless given"),
            "priority": { "type": ["string", "null"], "enum": ["high", "medium", "low", null] },
        })) },
        "quality": object(json!({
            "score": mark(),
            "parts": object(json!({
                "accuracy": mark(), "completeness": mark(), "clarity": mark(), "usefulness": mark(),
            })),
        })),
    }))
}

/// An object that has all of these fields and no others.
fn object(fields: Value) -> Value {
    let names: Vec<String> = fields.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false })
}
