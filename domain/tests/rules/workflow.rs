use cqrs_es::test::TestFramework;
use domain::workflow::WorkflowStatus;
use domain::{Decide, Definition, DefinitionError, Refusal, Workflow, WorkflowCommand, WorkflowEvent, WorkflowRefusal};

use super::drive::Driven;
use super::fixtures::{definition, diamond};

fn draft(definition: Definition) -> WorkflowCommand {
    WorkflowCommand::Draft { definition: Box::new(definition) }
}

fn drafted(version: u32, definition: Definition) -> WorkflowEvent {
    WorkflowEvent::Drafted { version, definition: Box::new(definition) }
}

fn other() -> Definition {
    Definition { name: "Another".into(), ..diamond() }
}

fn given(events: Vec<WorkflowEvent>) -> cqrs_es::test::AggregateTestExecutor<Workflow> {
    TestFramework::with(()).given(events)
}

#[test]
fn drafts_are_versions_counted_from_one() {
    given(vec![]).when(draft(diamond())).then_expect_events(vec![drafted(1, diamond())]);
    given(vec![drafted(1, diamond())]).when(draft(other())).then_expect_events(vec![drafted(2, other())]);
}

#[test]
fn an_equal_draft_changes_nothing() {
    given(vec![drafted(1, diamond())]).when(draft(diamond())).then_expect_events(vec![]);
    // Going back to an older version is a new version.
    given(vec![drafted(1, diamond()), drafted(2, other())])
        .when(draft(diamond()))
        .then_expect_events(vec![drafted(3, diamond())]);
}

#[test]
fn an_invalid_draft_is_refused_with_all_its_errors() {
    let wrong = Definition { input_schema: serde_json::json!({}), ..definition(vec![]) };
    given(vec![]).when(draft(wrong)).then_expect_error(WorkflowRefusal::InvalidDefinition(vec![
        DefinitionError::NoSteps,
        DefinitionError::InputSchemaNotObject,
    ]));
}

#[test]
fn a_version_is_activated_once() {
    let history = || vec![drafted(1, diamond()), drafted(2, other())];
    let activate = |version| WorkflowCommand::Activate { version };
    given(history()).when(activate(1)).then_expect_events(vec![WorkflowEvent::Activated { version: 1 }]);
    given(history()).and(vec![WorkflowEvent::Activated { version: 1 }]).when(activate(1)).then_expect_events(vec![]);
    given(history())
        .and(vec![WorkflowEvent::Activated { version: 2 }])
        .when(activate(1))
        .then_expect_events(vec![WorkflowEvent::Activated { version: 1 }]);
}

#[test]
fn an_unknown_version_is_refused() {
    for version in [0, 2, u32::MAX] {
        given(vec![drafted(1, diamond())])
            .when(WorkflowCommand::Activate { version })
            .then_expect_error(WorkflowRefusal::NoSuchVersion { version, newest: 1 });
    }
    given(vec![])
        .when(WorkflowCommand::Activate { version: 1 })
        .then_expect_error_message("there is no version 1; the newest is 0");
}

#[test]
fn the_state_tells_versions_and_status() {
    let mut workflow = Driven::<Workflow>::new();
    assert_eq!((workflow.state.newest(), workflow.state.status()), (0, WorkflowStatus::Draft));
    workflow.ask(draft(diamond())).unwrap();
    workflow.ask(draft(other())).unwrap();
    assert_eq!((workflow.state.newest(), workflow.state.active()), (2, None));
    workflow.ask(WorkflowCommand::Activate { version: 2 }).unwrap();
    assert_eq!((workflow.state.status(), workflow.state.active()), (WorkflowStatus::Active, Some(2)));
    assert_eq!(**workflow.state.version(1).unwrap(), diamond());
    assert!(workflow.state.version(0).is_none() && workflow.state.version(3).is_none());
}

#[test]
fn codes_are_stable() {
    assert_eq!(WorkflowRefusal::InvalidDefinition(vec![]).code(), "WORKFLOW_INVALID");
    assert_eq!(WorkflowRefusal::NoSuchVersion { version: 1, newest: 0 }.code(), "WORKFLOW_VERSION_UNKNOWN");
    assert_eq!(Workflow::CATEGORY.name(), "workflow");
}
