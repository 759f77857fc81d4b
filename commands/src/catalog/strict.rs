//! What our own catalogue keeps to beyond what every catalogue must: both languages, complete descriptions, a place
//! for each file, and no two templates that say the same. Nobody else has to.

use std::path::Path;

use domain::agent::Profile;
use domain::template::{Check, TemplateBody};
use domain::workflow::Work;
use domain::{Bilingual, Definition};
use serde_json::Value;

use super::similarity::{self, words_of};
use super::{Catalog, CatalogError, Fault, Kind, schema};

/// The departments of a company as our catalogue knows them.
pub const DEPARTMENTS: [&str; 18] = [
    "engineering",
    "architecture",
    "devops",
    "security",
    "data",
    "legal",
    "compliance",
    "hr",
    "recruitment",
    "strategy",
    "operations",
    "finance",
    "marketing",
    "product",
    "ux",
    "research",
    "documentation",
    "administration",
];

/// Entries with this tag are made for a small local model, which works best with the shortest prompts; they are exempt
/// from what would make prompts longer.
const STARTER: &str = "starter";

/// What tags mean is known to each installation alone.
const NO_DEMANDS: &str = "none is expected: which tags there are is for the installation to say";

/// The largest share of sequences of five words that the instructions of two templates may have in common.
pub const MOST_SHARED: f64 = 0.30;

/// What one entry lacks: the path of the field and what is expected there.
struct Wanting(Vec<(String, String)>);

impl Wanting {
    fn unless(&mut self, holds: bool, field: impl Into<String>, what: impl Into<String>) {
        if !holds {
            self.0.push((field.into(), what.into()));
        }
    }

    fn number(&mut self, field: &str, found: usize, least: usize, most: usize, what: &str) {
        let holds = (least..=most).contains(&found);
        self.unless(holds, field, format!("{found} {what} stand here; {least} to {most} are expected"));
    }

    fn both(&mut self, field: &str, text: &Bilingual, least: usize, most: usize) {
        let arabic = |text: &str| text.chars().filter(|c| is_arabic(*c)).count();
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
        self.unless(
            arabic(&text.en) * 2 <= letters(&text.en) && !text.en.trim().is_empty(),
            format!("{field}.en"),
            "a text in English is expected",
        );
        match &text.ar {
            None => self.unless(false, format!("{field}.ar"), "a text in Arabic is expected"),
            Some(ar) => self.unless(arabic(ar) > 0, format!("{field}.ar"), "a text in Arabic script is expected"),
        }
        for (language, text) in [("en", Some(&text.en)), ("ar", text.ar.as_ref())] {
            // That there is nothing has been said already.
            let Some(text) = text.filter(|text| !text.trim().is_empty()) else { continue };
            let length = text.chars().count();
            self.number(&format!("{field}.{language}"), length, least, most, "characters");
        }
    }

    fn words(&mut self, field: &str, text: &str, least: usize, most: usize) {
        self.number(field, words_of(text).len(), least, most, "words");
    }
}

impl Catalog {
    /// What our own catalogue would not let pass, in the order of the entries: agents, templates, workflows, triggers.
    #[must_use]
    pub fn check_strict(&self) -> Vec<CatalogError> {
        let mut errors = Vec::new();
        for profile in &self.agents {
            let mut wanting = Wanting(Vec::new());
            of_agent(&mut wanting, profile);
            self.of_place(&mut wanting, Kind::Agent, profile.key.as_str(), &profile.department, &profile.tags);
            errors.extend(self.placed(Kind::Agent, profile.key.as_str(), wanting));
        }
        for body in &self.templates {
            let mut wanting = Wanting(Vec::new());
            of_template(&mut wanting, body);
            self.of_place(&mut wanting, Kind::Template, body.key.as_str(), &body.department, &body.tags);
            errors.extend(self.placed(Kind::Template, body.key.as_str(), wanting));
        }
        for definition in &self.workflows {
            let mut wanting = Wanting(Vec::new());
            of_workflow(&mut wanting, definition);
            self.of_place(
                &mut wanting,
                Kind::Workflow,
                definition.key.as_str(),
                &definition.department,
                &definition.tags,
            );
            errors.extend(self.placed(Kind::Workflow, definition.key.as_str(), wanting));
        }
        for entry in &self.triggers {
            let mut wanting = Wanting(Vec::new());
            let key = entry.settings.key.as_str();
            wanting.number("description", entry.settings.description.chars().count(), 40, 300, "characters");
            wanting.unless(
                entry.paused,
                "paused",
                "`true` is expected: nothing of ours starts before somebody wants it",
            );
            self.of_file(&mut wanting, Kind::Trigger, key, &format!("triggers/{key}.yaml"));
            errors.extend(self.placed(Kind::Trigger, key, wanting));
        }
        for pair in similarity::wording(&self.templates) {
            if pair.share > MOST_SHARED {
                let percent = |share: f64| format!("{:.0} %", share * 100.0);
                let what = format!(
                    "{} of the sequences of five words are those of the template `{}`; at most {} are expected: if the two \
                     do different jobs, say so in their own words, else keep one",
                    percent(pair.share),
                    pair.one,
                    percent(MOST_SHARED)
                );
                let wanting = Wanting(vec![("instructions".to_owned(), what)]);
                errors.extend(self.placed(Kind::Template, pair.other.as_str(), wanting));
            }
        }
        errors
    }

    fn of_place(&self, wanting: &mut Wanting, kind: Kind, key: &str, department: &str, tags: &[String]) {
        let known = DEPARTMENTS.contains(&department);
        wanting.unless(
            known,
            "department",
            format!("`{department}` is none of our departments; they are {}", DEPARTMENTS.join(", ")),
        );
        if known {
            self.of_file(wanting, kind, key, &format!("{}/{department}/{key}.yaml", kind.folder()));
        }
        wanting.number("tags", tags.len(), 1, 8, "tags");
        let is_tag = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        for (index, tag) in tags.iter().enumerate() {
            let holds = !tag.is_empty() && tag.chars().all(is_tag);
            wanting.unless(holds, format!("tags[{index}]"), "a word of a-z, 0-9 and `-` is expected");
        }
    }

    fn of_file(&self, wanting: &mut Wanting, kind: Kind, key: &str, expected: &str) {
        let file = key.parse().ok().and_then(|key| self.origins.get(&(kind, key))).map(|origin| origin.file.as_str());
        let holds = file.is_some_and(|file| Path::new(file).ends_with(expected));
        wanting.unless(holds, "key", format!("the file is expected to be {expected}"));
    }

    fn placed(&self, kind: Kind, key: &str, wanting: Wanting) -> Vec<CatalogError> {
        let origin = key.parse().ok().and_then(|key| self.origins.get(&(kind, key)));
        let placed = |(field, what): (String, String)| CatalogError {
            file: origin.map(|origin| origin.file.clone()).unwrap_or_default(),
            place: origin.and_then(|origin| origin.fields.nearest(&field).or_else(|| origin.fields.nearest("key"))),
            field: Some(field),
            fault: Box::new(Fault::Rule(what)),
        };
        wanting.0.into_iter().map(placed).collect()
    }
}

fn of_agent(wanting: &mut Wanting, profile: &Profile) {
    wanting.both("name", &profile.name, 2, 60);
    wanting.both("description", &profile.description, 40, 500);
    for (index, constraint) in profile.constraints.iter().enumerate() {
        wanting.both(&format!("constraints[{index}]"), constraint, 10, 300);
    }
    let moves = profile.platform.is_none() && profile.model.is_none() && profile.fallback_platforms.is_empty();
    wanting.unless(moves, "platform", "none is expected: our agents move with the installation");
    wanting.unless(profile.residency.is_empty(), "residency", NO_DEMANDS);
    if is_starter(&profile.tags) {
        return;
    }
    wanting.number("constraints", profile.constraints.len(), 3, 10, "constraints");
    wanting.words("system_prompt", &profile.system_prompt, 120, 900);
    for language in ["en", "ar"] {
        let holds = profile.languages.iter().any(|known| known == language);
        wanting.unless(holds, "languages", format!("`{language}` is expected among them"));
    }
    wanting.unless(profile.cost_limit.is_some(), "cost_limit_usd", "a limit is expected");
}

fn of_template(wanting: &mut Wanting, body: &TemplateBody) {
    wanting.both("title", &body.title, 4, 80);
    wanting.both("description", &body.description, 40, 500);
    wanting.unless(body.residency.is_empty(), "residency", NO_DEMANDS);
    let anybody = body.is_by_name_only();
    wanting.unless(body.capability.is_some() || anybody, "capability", "one is expected");
    of_properties(wanting, "parameters", &body.parameters);
    match &body.result {
        Some(result) => wanting.both("result", result, 40, 600),
        None => wanting.unless(false, "result", "what a good result contains is expected"),
    }
    wanting.number("checklist", body.checklist.len(), 4, 10, "items");
    let checked = body.checklist.iter().filter(|item| item.check.is_some()).count();
    wanting.unless(checked >= 2, "checklist", format!("{checked} items have a check; at least 2 are expected to"));
    for (index, item) in body.checklist.iter().enumerate() {
        wanting.both(&format!("checklist[{index}].text"), &item.text, 5, 300);
        if let Some(Check::ContainsHeading(heading)) = &item.check {
            wanting.both(&format!("checklist[{index}].check.contains_heading"), heading, 2, 80);
        }
    }
    of_example(wanting, body);
    if is_starter(&body.tags) {
        return;
    }
    wanting.words("instructions", &body.instructions, 60, 600);
    // Programs read its answer, in the form that it asks for.
    if body.key.as_str() == TemplateBody::READ_PARAMETERS {
        return;
    }
    let reads = schema::properties(&body.parameters).any(|(name, _)| name == TemplateBody::ANSWER_LANGUAGE);
    wanting.unless(reads, "instructions", format!("`{{{{ {} }}}}` is expected in them", TemplateBody::ANSWER_LANGUAGE));
}

fn of_workflow(wanting: &mut Wanting, definition: &Definition) {
    wanting.both("name", &definition.name, 4, 80);
    wanting.both("description", &definition.description, 40, 600);
    for (index, step) in definition.steps.iter().enumerate() {
        wanting.both(&format!("steps[{index}].title"), &step.title, 4, 80);
        if let Work::Approval(approval) = &step.work {
            wanting.both(&format!("steps[{index}].approval.question"), &approval.question, 10, 300);
        }
    }
    of_properties(wanting, "input_schema", &definition.input_schema);
    let samples = definition.input_schema.get("examples").and_then(Value::as_array).cloned().unwrap_or_default();
    wanting.number("input_schema.examples", samples.len(), 2, 6, "sample inputs");
    let in_arabic = samples.iter().any(|sample| sample.to_string().chars().any(is_arabic));
    wanting.unless(in_arabic, "input_schema.examples", "one in Arabic is expected among them");
}

fn of_properties(wanting: &mut Wanting, place: &str, parameters: &Value) {
    let closed = parameters.get("additionalProperties") == Some(&Value::Bool(false));
    wanting.unless(closed, place, "`additionalProperties: false` is expected");
    wanting.number(&format!("{place}.properties"), schema::properties(parameters).count(), 1, 12, "parameters");
    let text = |property: &Value, name: &str| property.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, property) in schema::properties(parameters) {
        let field = format!("{place}.properties.{name}");
        for (label, arabic, least, most) in
            [("title", "x-title-ar", 2, 60), ("description", "x-description-ar", 10, 300)]
        {
            let both = Bilingual { en: text(property, label), ar: Some(text(property, arabic)) };
            let mut found = Wanting(Vec::new());
            found.both("", &both, least, most);
            let renamed = |(place, what): (String, String)| {
                (format!("{field}.{}", if place == ".en" { label } else { arabic }), what)
            };
            wanting.0.extend(found.0.into_iter().map(renamed));
        }
        let labelled = property.get("enum").is_none() || property.get("x-enum-ar").is_some();
        wanting.unless(labelled, format!("{field}.enum"), "Arabic labels are expected beside it, as `x-enum-ar`");
    }
}

fn of_example(wanting: &mut Wanting, body: &TemplateBody) {
    let Some(example) = &body.example else {
        return wanting.unless(false, "example", "an example of use is expected");
    };
    wanting.both("example.request", &example.request, 20, 600);
    let given = [Some(&example.parameters), example.parameters_ar.as_ref()];
    for parameters in given.into_iter().flatten() {
        for parameters in [parameters.clone(), schema::reduced(&body.parameters, parameters)] {
            let text = body.render(&schema::complete(&body.parameters, &parameters)).unwrap_or_default();
            let tidy = !text.contains("\n\n\n");
            wanting.unless(tidy, "instructions", "rendered, they have several empty lines in a row; one is expected");
        }
    }
}

fn is_arabic(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{6ff}')
}

fn is_starter(tags: &[String]) -> bool {
    tags.iter().any(|tag| tag == STARTER)
}
