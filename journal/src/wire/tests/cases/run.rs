//! Examples of the events of runs.

use std::sync::Arc;
use std::time::Duration;

use domain::run::{Again, Firing, Lineage, LineageKind, Overrides, Parent, Pause, PauseClock, Start, StepOverride};
use domain::task::Form;
use domain::{
    Actor, ActorKind, AttemptError, ErrorKind, Event, HoldId, NodeId, RunEvent, RunId, StepName, SubjectId, TaskId,
    Timestamp, TriggerId, WorkflowId,
};
use serde_json::{Value, json};

use super::{error, id, moment, reason, slots, workflow};

fn step() -> StepName {
    "draft".parse().unwrap()
}

fn output() -> Arc<Value> {
    json!({ "text": "Grüße", "list": [1, -2, 18_446_744_073_709_551_615_u64, 0.1, true, null] }).into()
}

fn task() -> TaskId {
    TaskId::from_uuid(id(4))
}

fn child() -> RunId {
    RunId::from_uuid(id(9))
}

fn start() -> Start {
    let change = |step: &str, agent: Option<&str>, template: Option<&str>| StepOverride {
        step: step.parse().unwrap(),
        agent: agent.map(|key| key.parse().unwrap()),
        template: template.map(|key| key.parse().unwrap()),
    };
    Start {
        id: RunId::from_uuid(id(1)),
        workflow: WorkflowId::from_uuid(id(2)),
        version: 3,
        definition: workflow::definition().into(),
        input: json!({ "topic": "moon", "pages": 2.5, "nested": { "z": [], "a": {} } }).into(),
        by: Actor::person("ada"),
        at: moment(0),
        deadline: Some(moment(1)),
        priority: -100,
        parent: Some(Parent { run: RunId::from_uuid(id(10)), step: step(), depth: 2 }),
        lineage: Some(Lineage {
            run: RunId::from_uuid(id(11)),
            revision: 300,
            kind: LineageKind::Fork,
            kept: vec![step(), "sections".parse().unwrap()],
            overrides: Overrides {
                model: Some("gpt-y".to_owned()),
                steps: vec![change("draft", Some("poet"), Some("write.poem")), change("print", None, None)],
            },
        }),
        trigger: Some(Firing { trigger: TriggerId::from_uuid(id(12)), cause: "2027-01-01T00:00:00Z".to_owned() }),
        subject: Some(SubjectId::from_uuid(id(13))),
        form: Form::Last,
        again: Some(Again {
            task: TaskId::from_uuid(id(14)),
            template_version: 7,
            agent_version: Some(2),
            model: Some("gpt-z".to_owned()),
        }),
    }
}

/// Every field has something in it.
pub(super) fn full() -> Vec<Event> {
    let events = vec![
        RunEvent::Started(Box::new(start())),
        RunEvent::Claimed { node: NodeId::from_uuid(id(3)), epoch: 300 },
        RunEvent::Queued { slots: slots(), at: moment(1) },
        RunEvent::Admitted,
        RunEvent::StepStarted { step: step(), task: task(), at: moment(2), deadline: Some(moment(3)) },
        RunEvent::ItemsPlanned {
            step: step(),
            items: json!(["one", { "two": 2 }, null]).into(),
            at: moment(4),
            deadline: Some(moment(5)),
        },
        RunEvent::ItemStarted { step: step(), item: 300, task: task() },
        RunEvent::ItemCompleted { step: step(), item: 300, result: output(), simulated: true },
        RunEvent::ItemFailed { step: step(), item: 300, error: error() },
        RunEvent::ApprovalRequested {
            step: step(),
            content: output(),
            content_hash: std::array::from_fn(|place| u8::try_from(place).unwrap()),
            at: moment(6),
            expires_at: Some(moment(7)),
            deadline: Some(moment(8)),
        },
        RunEvent::ApprovalDecided {
            step: step(),
            by: Actor::person("ada"),
            approved: true,
            comment: "Schön 🌒".to_owned(),
            content_hash: std::array::from_fn(|place| u8::try_from(place).unwrap()),
            at: moment(9),
        },
        RunEvent::ApprovalExpired { step: step() },
        RunEvent::TimerStarted { step: step(), fires_at: moment(11), at: moment(10), deadline: Some(moment(12)) },
        RunEvent::SignalAwaited {
            step: step(),
            signal: "payment".parse().unwrap(),
            at: moment(13),
            deadline: Some(moment(14)),
        },
        RunEvent::SignalReceived { signal: "payment".parse().unwrap(), payload: output(), at: moment(15) },
        RunEvent::ChildStarted { step: step(), run: child(), at: moment(16), deadline: Some(moment(17)) },
        RunEvent::ChildAbandoned { step: step(), run: child() },
        RunEvent::StepSkipped { step: step(), reason: reason() },
        RunEvent::StepCompleted { step: step(), output: output(), simulated: true },
        RunEvent::StepFailed { step: step(), error: error() },
        RunEvent::StepCancelled { step: step() },
        RunEvent::Paused(Pause {
            by: Actor::person("ada"),
            reason: reason(),
            at: moment(18),
            clock: PauseClock::Running,
            hold: Some(HoldId::from_uuid(id(13))),
        }),
        RunEvent::Resumed { by: Actor::person("bob"), at: moment(19) },
        RunEvent::CancelRequested { reason: reason(), at: moment(20), grace: Duration::from_millis(1500) },
        RunEvent::Stalled { what: reason(), at: moment(3) },
        RunEvent::Failing { error: error() },
        RunEvent::CompensationStarted { step: step(), task: task(), at: moment(21) },
        RunEvent::CompensationCompleted { step: step(), simulated: true },
        RunEvent::CompensationFailed { step: step(), error: error() },
        RunEvent::Completed { output: output(), simulated: true },
        RunEvent::Failed { step: Some(step()), error: error() },
        RunEvent::Cancelled { reason: reason() },
    ];
    events.into_iter().map(Event::from).collect()
}

/// As little as each event can hold.
pub(super) fn bare() -> Vec<Event> {
    let step = || "a".parse().unwrap();
    let error = || AttemptError { kind: ErrorKind::Timeout, message: String::new(), retry_after: None };
    let null = || json!(null).into();
    let at = Timestamp::from_micros(0);
    let nobody = || Actor { kind: ActorKind::System, id: String::new() };
    let events = vec![
        RunEvent::Started(Box::new(Start {
            definition: workflow::bare_definition().into(),
            input: json!({}).into(),
            by: nobody(),
            at,
            deadline: None,
            priority: 0,
            parent: None,
            lineage: None,
            trigger: None,
            subject: None,
            form: Form::Text,
            again: None,
            ..start()
        })),
        RunEvent::Queued { slots: vec![], at },
        RunEvent::StepStarted { step: step(), task: task(), at, deadline: None },
        RunEvent::ItemsPlanned { step: step(), items: json!([]).into(), at, deadline: None },
        RunEvent::ItemCompleted { step: step(), item: 0, result: null(), simulated: false },
        RunEvent::ItemFailed { step: step(), item: 0, error: error() },
        RunEvent::ApprovalRequested {
            step: step(),
            content: null(),
            content_hash: [0; 32],
            at,
            expires_at: None,
            deadline: None,
        },
        RunEvent::ApprovalDecided {
            step: step(),
            by: nobody(),
            approved: false,
            comment: String::new(),
            content_hash: [0; 32],
            at,
        },
        RunEvent::TimerStarted { step: step(), fires_at: at, at, deadline: None },
        RunEvent::SignalAwaited { step: step(), signal: step(), at, deadline: None },
        RunEvent::SignalReceived { signal: step(), payload: null(), at },
        RunEvent::ChildStarted { step: step(), run: child(), at, deadline: None },
        RunEvent::StepSkipped { step: step(), reason: String::new() },
        RunEvent::StepCompleted { step: step(), output: null(), simulated: false },
        RunEvent::StepFailed { step: step(), error: error() },
        RunEvent::Paused(Pause { by: nobody(), reason: String::new(), at, clock: PauseClock::Frozen, hold: None }),
        RunEvent::CancelRequested { reason: String::new(), at, grace: Duration::ZERO },
        RunEvent::Stalled { what: reason(), at: moment(3) },
        RunEvent::Failing { error: error() },
        RunEvent::CompensationCompleted { step: step(), simulated: false },
        RunEvent::CompensationFailed { step: step(), error: error() },
        RunEvent::Failed { step: None, error: error() },
    ];
    events.into_iter().map(Event::from).collect()
}

/// Every variant of the choices that runs hold and that nothing else here has.
pub(super) fn variants() -> Vec<(String, Event)> {
    let kinds =
        [ActorKind::Person, ActorKind::ApiKey, ActorKind::Schedule, ActorKind::Agent, ActorKind::System].into_iter();
    let actors = kinds.map(|kind| {
        let by = Actor { kind, id: "one".to_owned() };
        (kind.name().to_owned(), RunEvent::Resumed { by, at: moment(0) })
    });
    let lineages = LineageKind::ALL.into_iter().map(|kind| {
        let lineage =
            Lineage { run: RunId::from_uuid(id(11)), revision: 0, kind, kept: vec![], overrides: Overrides::default() };
        let definition = workflow::bare_definition().into();
        (kind.name().to_owned(), RunEvent::Started(Box::new(Start { definition, lineage: Some(lineage), ..start() })))
    });
    actors.chain(lineages).map(|(name, event)| (name, event.into())).collect()
}
