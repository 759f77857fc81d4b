//! Small valid entries of the catalogue.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{Bilingual, Capability, Definition, RetryPolicy, Step};
use serde_json::json;

/// A step without mappings, done by `writer` with `write`.
pub(crate) fn step(name: &str, needs: &[&str]) -> Step {
    Step {
        name: name.parse().unwrap(),
        title: format!("Step {name}"),
        agent: "writer".parse().unwrap(),
        template: "write".parse().unwrap(),
        input: BTreeMap::new(),
        output: BTreeMap::new(),
        needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
        retry: RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(60),
    }
}

/// A workflow of these steps.
pub(crate) fn definition(key: &str, steps: Vec<Step>) -> Definition {
    Definition {
        key: key.parse().unwrap(),
        name: format!("The {key} workflow"),
        description: "Writes".to_owned(),
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned(), "a \"quoted\" tag".to_owned()],
        input_schema: json!({ "type": "object" }),
        steps,
        output: BTreeMap::new(),
    }
}

/// `first` and `second` beside each other, then `third`.
pub(crate) fn diamond(key: &str) -> Definition {
    definition(key, vec![step("first", &[]), step("second", &[]), step("third", &["first", "second"])])
}

/// Steps one after the other.
pub(crate) fn chain(key: &str, length: usize) -> Definition {
    let name = |n: usize| format!("s{n}");
    let steps = (0..length).map(|n| match n.checked_sub(1) {
        Some(before) => step(&name(n), &[&name(before)]),
        None => step(&name(n), &[]),
    });
    definition(key, steps.collect())
}

/// An agent.
pub(crate) fn profile(key: &str) -> Profile {
    Profile {
        name: both(&format!("Agent {key}"), &format!("وكيل {key}")),
        capabilities: vec![Capability::Documentation],
        timeout: Duration::from_secs(60),
        languages: vec!["en".to_owned()],
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned()],
        ..Profile::new(key.parse().unwrap(), "", "You write.")
    }
}

/// A text in both languages.
pub(crate) fn both(en: &str, ar: &str) -> Bilingual {
    Bilingual { en: en.to_owned(), ar: Some(ar.to_owned()) }
}

/// A template.
pub(crate) fn body(key: &str) -> TemplateBody {
    let parameters = json!({ "type": "object", "properties": {} });
    TemplateBody {
        title: both(&format!("Template {key}"), &format!("قالب {key}")),
        department: "editorial".to_owned(),
        // What PostgreSQL cannot keep in text must still come through in a document.
        ..TemplateBody::new(key.parse().unwrap(), "", parameters, "Write.\0")
    }
}
