use cqrs_es::test::TestFramework;
use domain::task::Prompt;
use domain::template::{Check, ChecklistItem, Example, TemplateBody};
use domain::{Bilingual, Capability, Language, Refusal, Template, TemplateCommand, TemplateEvent, TemplateRefusal};
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{body, profile};

fn given(events: Vec<TemplateEvent>) -> cqrs_es::test::AggregateTestExecutor<Template> {
    TestFramework::with(()).given(events)
}

fn register(body: TemplateBody) -> TemplateCommand {
    TemplateCommand::Register { body: Box::new(body) }
}

fn registered() -> TemplateEvent {
    TemplateEvent::Registered { body: Box::new(body()) }
}

fn with(instructions: &str) -> TemplateBody {
    TemplateBody { instructions: instructions.to_owned(), ..body() }
}

fn invalid(field: &str, what: &str) -> TemplateRefusal {
    TemplateRefusal::Invalid { field: field.to_owned(), what: what.to_owned() }
}

#[test]
fn registering_makes_or_revises() {
    let other = with("Write on {{ topic }}!");
    given(vec![]).when(register(body())).then_expect_events(vec![registered()]);
    given(vec![registered()]).when(register(body())).then_expect_events(vec![]);
    given(vec![registered()])
        .when(register(other.clone()))
        .then_expect_events(vec![TemplateEvent::Revised { version: 2, body: Box::new(other) }]);
}

#[test]
fn versions_are_kept() {
    let mut template = Driven::<Template>::new();
    assert_eq!(template.state.version(), 0);
    template.ask(register(body())).unwrap();
    template.ask(register(with("Write."))).unwrap();
    assert_eq!(template.state.version(), 2);
    assert_eq!(**template.state.body_at(1).unwrap(), body());
    assert_eq!(template.state.body_at(2), template.state.body());
    assert!(template.state.body_at(0).is_none() && template.state.body_at(3).is_none());
}

#[test]
fn instructions_must_be_there_and_readable() {
    let refusal = |body| given(vec![]).when(register(body)).inspect_result().unwrap_err();
    assert_eq!(refusal(with(" \n")), invalid("instructions", "must not be empty"));
    let unreadable = refusal(with("{{ topic "));
    assert!(matches!(unreadable, TemplateRefusal::Unreadable(_)));
    assert!(unreadable.to_string().starts_with("template `write`: "));
    assert_eq!(
        refusal(with("{{ topic }} {{ tone }} {% for x in list %}{{ x }}{% endfor %}")),
        TemplateRefusal::UnknownNames { names: vec!["list".to_owned(), "tone".to_owned()] }
    );
    for parameters in [json!({}), json!(null), json!({ "type": "array" }), json!({ "type": ["object"] })] {
        assert_eq!(
            refusal(TemplateBody { parameters, ..body() }),
            invalid("parameters", "must be a JSON Schema of type `object`")
        );
    }
}

#[test]
fn rendering_is_prose_and_strict() {
    assert_eq!(body().render(&json!({ "topic": "<b> & \"you\"" })).unwrap(), "Write about <b> & \"you\".");
    let error = body().render(&json!({})).unwrap_err();
    assert!(error.to_string().contains("undefined"), "{error}");
}

#[test]
fn a_prompt_is_system_then_instructions_then_the_requesters_words() {
    let parameters = json!({ "topic": "moon" });
    let prompt = Prompt::assemble(&profile(), &body(), &parameters, Some("Be short.")).unwrap();
    assert_eq!(prompt.system, "You write.");
    assert_eq!(prompt.user, "Write about moon.\n\nBe short.");
    for nothing in [None, Some("  ")] {
        assert_eq!(Prompt::assemble(&profile(), &body(), &parameters, nothing).unwrap().user, "Write about moon.");
    }
    assert!(Prompt::assemble(&profile(), &body(), &json!({}), None).is_err());
}

#[test]
fn codes_are_stable() {
    let unreadable = with("{{").unknown_names().map_err(TemplateRefusal::Unreadable).unwrap_err();
    assert_eq!(unreadable.code(), "TEMPLATE_UNREADABLE");
    assert_eq!(TemplateRefusal::UnknownNames { names: vec![] }.code(), "TEMPLATE_UNKNOWN_NAMES");
    assert_eq!(invalid("", "").code(), "TEMPLATE_INVALID");
}

#[test]
fn every_part_must_make_sense() {
    let refusal = |change: fn(&mut TemplateBody)| {
        let mut body = body();
        change(&mut body);
        given(vec![]).when(register(body)).inspect_result().unwrap_err()
    };
    fn item(check: Check) -> Vec<ChecklistItem> {
        let judged = ChecklistItem { text: "Reads well.".into(), check: None };
        vec![judged, ChecklistItem { text: "Is right.".into(), check: Some(check) }]
    }
    let blank = "must not be empty";
    assert_eq!(refusal(|body| body.title = " ".into()), invalid("title", blank));
    assert_eq!(refusal(|body| body.result = Some("".into())), invalid("result", blank));
    assert_eq!(
        refusal(|body| body.output_schema = Some(json!({ "type": "array" }))),
        invalid("output_schema", "must be a JSON Schema of type `object`")
    );
    let silent = |body: &mut TemplateBody| {
        body.example = Some(Example { request: "".into(), parameters: json!({}), parameters_ar: None });
    };
    assert_eq!(refusal(silent), invalid("example.request", blank));
    let half = |body: &mut TemplateBody| {
        let text = Bilingual { en: "Is right.".to_owned(), ar: Some(" ".to_owned()) };
        body.checklist = vec![ChecklistItem { text, check: None }];
    };
    assert_eq!(refusal(half), invalid("checklist[0].text", blank));
    let least = "a least number must be at least 1, because everything has 0";
    let texts = "at least one text belongs here, and none may be empty";
    type Change = fn(&mut TemplateBody);
    let wrong: [(Change, &str); 7] = [
        (|body| body.checklist = item(Check::MinWords(0)), least),
        (|body| body.checklist = item(Check::MaxWords(0)), "max_words must be at least 1"),
        (|body| body.checklist = item(Check::ContainsHeading("".into())), "the heading must not be empty"),
        (|body| body.checklist = item(Check::ContainsAny(vec![])), texts),
        (|body| body.checklist = item(Check::Omits(vec!["a".to_owned(), String::new()])), texts),
        (
            |body| body.checklist = item(Check::Mentions("tone".to_owned())),
            "mentions `tone`, which is no parameter of the template",
        ),
        (|body| body.checklist = item(Check::FitsOutputSchema), "asks for an output_schema, but the template has none"),
    ];
    for (change, what) in wrong {
        assert_eq!(refusal(change), invalid("checklist[1].check", what));
    }
    let mut right = body();
    right.checklist = item(Check::Mentions("topic".to_owned()));
    right.checklist.extend(item(Check::FitsOutputSchema));
    right.output_schema = Some(json!({ "type": "object" }));
    given(vec![])
        .when(register(right.clone()))
        .then_expect_events(vec![TemplateEvent::Registered { body: Box::new(right) }]);
}

#[test]
fn unused_parameters_are_known() {
    let parameters = json!({ "type": "object", "properties": { "topic": {}, "tone": {}, "facts": {}, "loop": {} } });
    let instructions =
        "On {{ topic }}{% if facts is defined %} with care{% endif %}: {% for x in [1] %}{{ x }}{% endfor %}";
    let body = TemplateBody { parameters, ..with(instructions) };
    assert_eq!(body.unused_parameters().unwrap(), ["tone", "loop"]);
    assert!(with("{{").unused_parameters().is_err());
    assert_eq!(with("{{ topic[:10] }}").unused_parameters().unwrap(), [""; 0]);
    assert_eq!(with("{{ topik[:10] }}").unknown_names().unwrap(), ["topik"]);
    assert_eq!(with("{% for line in topic[1:] %}{{ line[:2] }}{% endfor %}").unknown_names().unwrap(), [""; 0]);
}

#[test]
fn a_text_falls_back_to_english() {
    let both = Bilingual { en: "Letter".to_owned(), ar: Some("رسالة".to_owned()) };
    assert_eq!((both.in_language(Language::Arabic), both.in_language(Language::English)), ("رسالة", "Letter"));
    assert_eq!(Bilingual::from("Letter").in_language(Language::Arabic), "Letter");
    assert_eq!(both.to_string(), "Letter");
}

#[test]
fn capabilities_are_a_closed_list() {
    for capability in Capability::ALL {
        assert_eq!(capability.name().parse(), Ok(capability));
        assert_eq!(serde_json::to_value(capability).unwrap(), json!(capability.name()));
    }
    let error = "cooking".parse::<Capability>().unwrap_err().to_string();
    assert!(error.starts_with("`cooking` is no capability; there are coding, code_review, "), "{error}");
}
