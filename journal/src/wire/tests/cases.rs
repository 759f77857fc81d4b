//! One or more examples of every event, for the golden files. An example may be added; one that is changed no longer
//! matches its file, so give it a new name instead.

use std::time::Duration;

use domain::agent::Profile;
use domain::template::{Check, ChecklistItem, Example, TemplateBody};
use domain::{
    AgentEvent, AgentId, AttemptError, Bilingual, Capability, Definition, ErrorKind, Event, Expression, FinishReason,
    NanoUsd, NodeId, Reply, RetryPolicy, RunEvent, RunId, Step, TaskEvent, TaskId, TemplateEvent, TemplateId,
    Timestamp, Usage, WorkflowEvent, WorkflowId,
};
use serde_json::json;
use uuid::Uuid;

/// Names of cases and their events; a name is unique within its event's type.
pub(super) fn all() -> Vec<(String, Event)> {
    let mut cases = Vec::new();
    cases.extend(named("full", full()));
    cases.extend(named("bare", bare()));
    for kind in ErrorKind::ALL {
        let error = AttemptError { kind, message: "it failed".to_owned(), retry_after: None };
        let failed = TaskEvent::AttemptFailed { attempt: 1, error, retry_at: None };
        cases.push((kind.name().to_owned(), failed.into()));
    }
    let reasons = [FinishReason::Stop, FinishReason::Length, FinishReason::ContentFilter];
    for (name, finish) in ["stop", "length", "content_filter"].into_iter().zip(reasons) {
        let reply = Box::new(Reply { finish, ..bare_reply() });
        cases.push((name.to_owned(), TaskEvent::AttemptSucceeded { attempt: 1, reply }.into()));
    }
    cases
}

fn named(name: &str, events: Vec<Event>) -> Vec<(String, Event)> {
    events.into_iter().map(|event| (name.to_owned(), event)).collect()
}

/// Every field has something in it.
fn full() -> Vec<Event> {
    let step = || "draft".parse().unwrap();
    let reason = || "Zu teuer – „lieber“ morgen 🌒".to_owned();
    let output = || json!({ "text": "Grüße", "list": [1, -2, 18_446_744_073_709_551_615_u64, 0.1, true, null] }).into();
    vec![
        WorkflowEvent::Drafted { version: 3, definition: Box::new(definition()) }.into(),
        WorkflowEvent::Activated { version: 3 }.into(),
        RunEvent::Started {
            id: RunId::from_uuid(id(1)),
            workflow: WorkflowId::from_uuid(id(2)),
            version: 3,
            definition: definition().into(),
            input: json!({ "topic": "moon", "pages": 2.5, "nested": { "z": [], "a": {} } }).into(),
        }
        .into(),
        RunEvent::Claimed { node: NodeId::from_uuid(id(3)), epoch: 300 }.into(),
        RunEvent::StepStarted { step: step(), task: TaskId::from_uuid(id(4)) }.into(),
        RunEvent::StepCompleted { step: step(), output: output(), simulated: true }.into(),
        RunEvent::StepFailed { step: step(), error: error() }.into(),
        RunEvent::StepCancelled { step: step() }.into(),
        RunEvent::CancelRequested { reason: reason() }.into(),
        RunEvent::Completed { output: output(), simulated: true }.into(),
        RunEvent::Failed { step: Some(step()), error: error() }.into(),
        RunEvent::Cancelled { reason: reason() }.into(),
        TaskEvent::Created {
            run: Some(RunId::from_uuid(id(1))),
            step: Some(step()),
            template: TemplateId::from_uuid(id(5)),
            template_version: 7,
            parameters: json!({ "topic": "moon" }).into(),
            retry: RetryPolicy::default(),
            attempt_timeout: Duration::from_millis(1500),
        }
        .into(),
        TaskEvent::Assigned { agent: AgentId::from_uuid(id(6)), agent_version: 4, reason: reason() }.into(),
        TaskEvent::AttemptStarted {
            attempt: 2,
            platform: "openai".parse().unwrap(),
            model: Some("gpt-x".to_owned()),
            request_hash: std::array::from_fn(|place| u8::try_from(place).unwrap()),
        }
        .into(),
        TaskEvent::AttemptSucceeded { attempt: 2, reply: Box::new(reply()) }.into(),
        TaskEvent::AttemptFailed {
            attempt: 2,
            error: error(),
            retry_at: Some(Timestamp::from_micros(1_800_000_000_000_001)),
        }
        .into(),
        TaskEvent::AttemptLost { attempt: 2, retry_at: Some(Timestamp::from_micros(-1)) }.into(),
        TaskEvent::AttemptLate { attempt: 2, reply: Box::new(reply()) }.into(),
        TaskEvent::Completed { attempt: 2 }.into(),
        TaskEvent::Failed { error: error() }.into(),
        TaskEvent::Cancelled { reason: reason() }.into(),
        AgentEvent::Registered { profile: Box::new(profile()) }.into(),
        AgentEvent::Revised { version: 2, profile: Box::new(profile()) }.into(),
        AgentEvent::Enabled.into(),
        AgentEvent::Disabled { reason: reason() }.into(),
        TemplateEvent::Registered { body: Box::new(body()) }.into(),
        TemplateEvent::Revised { version: 2, body: Box::new(body()) }.into(),
    ]
}

/// As little as each event can hold.
fn bare() -> Vec<Event> {
    let step = || "a".parse().unwrap();
    let error = || AttemptError { kind: ErrorKind::Timeout, message: String::new(), retry_after: None };
    let definition = Definition {
        name: String::new(),
        description: String::new(),
        department: String::new(),
        tags: vec![],
        input_schema: json!({}),
        steps: vec![],
        output: [].into(),
        ..definition()
    };
    let profile = Profile {
        name: "".into(),
        description: "".into(),
        capabilities: vec![],
        system_prompt: String::new(),
        constraints: vec![],
        platform: None,
        fallback_platforms: vec![],
        model: None,
        temperature_milli: None,
        max_tokens: None,
        top_p_milli: None,
        frequency_penalty_milli: None,
        presence_penalty_milli: None,
        timeout: Duration::ZERO,
        cost_limit: None,
        self_review: false,
        context_window: 0,
        languages: vec![],
        department: String::new(),
        tags: vec![],
        ..profile()
    };
    let body = TemplateBody {
        title: "".into(),
        description: "".into(),
        department: String::new(),
        capability: None,
        tags: vec![],
        parameters: json!(null),
        instructions: String::new(),
        result: None,
        checklist: vec![],
        output_schema: None,
        example: None,
        ..body()
    };
    vec![
        WorkflowEvent::Drafted { version: 1, definition: Box::new(definition) }.into(),
        RunEvent::StepCompleted { step: step(), output: json!(null).into(), simulated: false }.into(),
        RunEvent::Failed { step: None, error: error() }.into(),
        TaskEvent::Created {
            run: None,
            step: None,
            template: TemplateId::from_uuid(Uuid::nil()),
            template_version: 0,
            parameters: json!({}).into(),
            retry: RetryPolicy {
                max_attempts: 0,
                first_backoff: Duration::ZERO,
                multiplier_milli: 0,
                max_backoff: Duration::ZERO,
            },
            attempt_timeout: Duration::ZERO,
        }
        .into(),
        TaskEvent::AttemptStarted { attempt: 1, platform: "p".parse().unwrap(), model: None, request_hash: [0; 32] }
            .into(),
        TaskEvent::AttemptSucceeded { attempt: 1, reply: Box::new(bare_reply()) }.into(),
        TaskEvent::AttemptLost { attempt: 1, retry_at: None }.into(),
        AgentEvent::Registered { profile: Box::new(profile) }.into(),
        TemplateEvent::Registered { body: Box::new(body) }.into(),
    ]
}

fn id(number: u8) -> Uuid {
    Uuid::from_bytes(std::array::from_fn(|place| u8::try_from(place).unwrap() * 16 + number))
}

fn definition() -> Definition {
    let mapping = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, source)| (name.parse().unwrap(), Expression::trusted(source))).collect()
    };
    let draft = Step {
        name: "draft".parse().unwrap(),
        title: "Draft".to_owned(),
        agent: "writer".parse().unwrap(),
        template: "write.draft".parse().unwrap(),
        input: mapping(&[("topic", "input.topic"), ("pages", "input.pages || `1`")]),
        output: mapping(&[("text", "result.text"), ("words", "length(result.text)")]),
        needs: vec![],
        retry: RetryPolicy {
            max_attempts: 5,
            first_backoff: Duration::from_micros(1),
            multiplier_milli: 1500,
            max_backoff: Duration::from_secs(86_400),
        },
        attempt_timeout: Duration::from_secs(90),
    };
    let polish = Step {
        name: "polish_2".parse().unwrap(),
        title: "Polish".to_owned(),
        input: mapping(&[("draft", "steps.draft.text")]),
        output: mapping(&[]),
        needs: vec!["draft".parse().unwrap()],
        ..draft.clone()
    };
    Definition {
        key: "write-report".parse().unwrap(),
        name: "Write a report".to_owned(),
        description: "From a topic to a text".to_owned(),
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned(), "größe".to_owned()],
        input_schema: json!({ "type": "object", "properties": { "topic": { "type": "string" }, "pages": {} } }),
        steps: vec![draft, polish],
        output: mapping(&[("report", "steps.polish_2.text")]),
    }
}

fn error() -> AttemptError {
    AttemptError {
        kind: ErrorKind::RateLimited,
        message: "try again later".to_owned(),
        retry_after: Some(Duration::from_micros(2_500_001)),
    }
}

fn reply() -> Reply {
    Reply {
        text: "The moon is far.\n".to_owned(),
        finish: FinishReason::Other("tool_use".to_owned()),
        model: "gpt-x-2026".to_owned(),
        usage: Usage {
            input_tokens: Some(1200),
            cached_input_tokens: Some(1000),
            output_tokens: Some(90),
            reasoning_tokens: Some(u64::MAX),
        },
        cost: Some(NanoUsd(-4_200_000)),
        duration: Duration::from_micros(1_234_567),
        simulated: true,
    }
}

fn bare_reply() -> Reply {
    Reply {
        text: String::new(),
        finish: FinishReason::Stop,
        model: String::new(),
        usage: Usage::default(),
        cost: None,
        duration: Duration::ZERO,
        simulated: false,
    }
}

fn profile() -> Profile {
    Profile {
        key: "writer".parse().unwrap(),
        name: both("Writer", "كاتب"),
        description: both("Writes", "يكتب"),
        capabilities: Capability::ALL.to_vec(),
        system_prompt: "You write.".to_owned(),
        constraints: vec!["Never lies.".into(), both("Never shouts.", "لا يصرخ.")],
        platform: Some("openai".parse().unwrap()),
        fallback_platforms: vec!["local".parse().unwrap(), "simulator".parse().unwrap()],
        model: Some("gpt-x".to_owned()),
        temperature_milli: Some(700),
        max_tokens: Some(4096),
        top_p_milli: Some(950),
        frequency_penalty_milli: Some(-2000),
        presence_penalty_milli: Some(2000),
        timeout: Duration::from_secs(120),
        cost_limit: Some(NanoUsd(250_000_001)),
        self_review: true,
        context_window: 128_000,
        languages: vec!["en".to_owned(), "de-CH".to_owned()],
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned()],
    }
}

fn body() -> TemplateBody {
    TemplateBody {
        key: "write.draft".parse().unwrap(),
        title: both("Draft a text", "صياغة نص"),
        description: both("First version", "نسخة أولى"),
        department: "editorial".to_owned(),
        capability: Some(Capability::Documentation),
        tags: vec!["text".to_owned()],
        parameters: json!({ "type": "object", "properties": { "topic": { "type": "string" } } }),
        instructions: "Write about {{ topic }}.".to_owned(),
        result: Some(both("A text.", "نص.")),
        checklist: checklist(),
        output_schema: Some(json!({ "type": "object", "properties": { "words": { "type": "integer" } } })),
        example: Some(Example {
            request: both("Something about the moon, please", "شيء عن القمر من فضلك"),
            parameters: json!({ "topic": "moon" }),
            parameters_ar: Some(json!({ "topic": "القمر" })),
        }),
    }
}

fn checklist() -> Vec<ChecklistItem> {
    let checks = [
        Check::MinWords(1),
        Check::MaxWords(300),
        Check::ContainsHeading(both("Sources", "المصادر")),
        Check::MinHeadings(2),
        Check::MinListItems(3),
        Check::MaxListItems(4),
        Check::MinTableRows(5),
        Check::ContainsCodeBlock,
        Check::Mentions("topic".to_owned()),
        Check::ContainsAny(vec!["moon".to_owned(), "قمر".to_owned()]),
        Check::Omits(vec!["cheese".to_owned()]),
        Check::FitsOutputSchema,
    ];
    let checked = checks.into_iter().map(|check| ChecklistItem { text: "Is so.".into(), check: Some(check) });
    checked.chain([ChecklistItem { text: both("Reads well.", "سلس القراءة."), check: None }]).collect()
}

fn both(en: &str, ar: &str) -> Bilingual {
    Bilingual { en: en.to_owned(), ar: Some(ar.to_owned()) }
}
