use cqrs_es::test::TestFramework;
use domain::task::Prompt;
use domain::template::TemplateBody;
use domain::{Refusal, Template, TemplateCommand, TemplateEvent, TemplateRefusal};
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
    assert_eq!(refusal(with(" \n")), TemplateRefusal::Invalid { what: "the instructions are empty" });
    let unreadable = refusal(with("{{ topic "));
    assert!(matches!(unreadable, TemplateRefusal::Unreadable(_)));
    assert!(unreadable.to_string().starts_with("template `write`: "));
    assert_eq!(
        refusal(with("{{ topic }} {{ tone }} {% for x in list %}{{ x }}{% endfor %}")),
        TemplateRefusal::UnknownNames { names: vec!["list".to_owned(), "tone".to_owned()] }
    );
    let what = "the parameters must be a JSON Schema of type `object`";
    for parameters in [json!({}), json!(null), json!({ "type": "array" }), json!({ "type": ["object"] })] {
        assert_eq!(refusal(TemplateBody { parameters, ..body() }), TemplateRefusal::Invalid { what });
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
    assert_eq!(TemplateRefusal::Invalid { what: "" }.code(), "TEMPLATE_INVALID");
}
