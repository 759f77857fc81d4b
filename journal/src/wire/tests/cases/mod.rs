//! One or more examples of every event, for the golden files. An example may be added; one that is changed no longer
//! matches its file, so give it a new name instead.

mod action;
mod assigned;
mod denial;
mod run;
mod seal;
mod search;
mod trigger;
mod verdict;
mod webhook;
mod workflow;

use std::time::Duration;

use domain::agent::Profile;
use domain::budget::{BudgetScope, BudgetSettings, Unit, Window};
use domain::hold::{HoldScope, Placed};
use domain::limit::{LimitScope, LimitSettings};
use domain::purse::Payer;
use domain::run::{PauseClock, SlotsNeed};
use domain::slots::{Capacity, Holder, Rate};
use domain::task::{
    ActionItem, Checked, Choice, Consumed, Kept, Masked, Output, PassedOver, Priority, Purpose, Quality, Rating,
    RatingPart, Reserved, Score, Why,
};
use domain::template::{Check, ChecklistItem, Example, TemplateBody};
use domain::{
    Account, Actor, AgentEvent, AgentId, AttemptError, Bilingual, BudgetEvent, Capability, CostSource, ErrorKind,
    Event, Expression, FinishReason, HoldEvent, LimitEvent, NanoUsd, PurseEvent, PurseId, Reply, RetryPolicy, RunId,
    SlotsEvent, SlotsId, TaskEvent, TaskId, TemplateEvent, TemplateId, Timestamp, Usage, WorkflowEvent,
};
use serde_json::json;
use uuid::Uuid;

/// Names of cases and their events; a name is unique within its event's type.
pub(super) fn all() -> Vec<(String, Event)> {
    let mut cases = Vec::new();
    cases.extend(named("full", full()));
    cases.extend(named("bare", bare()));
    cases.extend(named("full", run::full()));
    cases.extend(named("bare", run::bare()));
    cases.extend(run::variants());
    cases.extend(named("full", search::full()));
    cases.extend(named("bare", search::bare()));
    cases.extend(search::variants());
    cases.extend(named("full", trigger::full()));
    cases.extend(named("bare", trigger::bare()));
    cases.extend(trigger::variants());
    cases.extend(named("full", verdict::full()));
    cases.extend(named("bare", verdict::bare()));
    cases.extend(verdict::variants());
    cases.extend(named("full", seal::full()));
    cases.extend(named("full", action::full()));
    cases.extend(named("bare", action::bare()));
    cases.extend(action::variants());
    cases.extend(named("full", denial::full()));
    cases.extend(named("full", denial::subject()));
    cases.extend(named("bare", denial::bare()));
    cases.extend(named("full", webhook::full()));
    cases.extend(webhook::variants());
    let key = || "writer".parse().unwrap();
    for scope in [LimitScope::Workflow(key()), LimitScope::Agent(key()), LimitScope::Platform(key())] {
        let name = format!("of_{}", scope.kind());
        cases.push((name, LimitEvent::Set { settings: Box::new(LimitSettings { scope, ..limit() }) }.into()));
    }
    let text = || "Büro 3".to_owned();
    let scopes = [
        BudgetScope::Department(text()),
        BudgetScope::Person(text()),
        BudgetScope::ApiKey(text()),
        BudgetScope::Workflow(key()),
        BudgetScope::EachRun(key()),
        BudgetScope::Agent(key()),
        BudgetScope::Platform(key()),
    ];
    for (scope, window) in scopes.into_iter().zip(Window::ALL.into_iter().cycle()) {
        let name = format!("of_{}", scope.kind());
        let settings = BudgetSettings { scope, window, unit: Unit::Tokens, unpriced: None, ..budget() };
        cases.push((name, BudgetEvent::Set { settings: Box::new(settings) }.into()));
    }
    for kind in ErrorKind::ALL {
        let error = AttemptError { kind, message: "it failed".to_owned(), retry_after: None };
        let failed = TaskEvent::AttemptFailed { attempt: 1, error, retry_at: None, consumed: None };
        cases.push((kind.name().to_owned(), failed.into()));
    }
    let reasons = [FinishReason::Stop, FinishReason::Length, FinishReason::ContentFilter];
    let sources = [CostSource::Unpriced, CostSource::Reported, CostSource::Free];
    let named = ["stop", "length", "content_filter"].into_iter().zip(reasons).zip(sources);
    for ((name, finish), source) in named {
        let account = Some(Box::new(Account::new(source, None)));
        let reply = Box::new(Reply { finish, account, ..bare_reply() });
        cases.push((name.to_owned(), TaskEvent::AttemptSucceeded { attempt: 1, reply }.into()));
    }
    cases
}

fn named(name: &str, events: Vec<Event>) -> Vec<(String, Event)> {
    events.into_iter().map(|event| (name.to_owned(), event)).collect()
}

/// Every field has something in it.
fn full() -> Vec<Event> {
    vec![
        WorkflowEvent::Drafted { version: 3, definition: Box::new(workflow::definition()) }.into(),
        WorkflowEvent::Activated { version: 3 }.into(),
        TaskEvent::Created {
            run: Some(RunId::from_uuid(id(1))),
            step: Some("draft".parse().unwrap()),
            template: TemplateId::from_uuid(id(5)),
            template_version: 7,
            parameters: json!({ "topic": "moon" }).into(),
            retry: retry(),
            attempt_timeout: Duration::from_millis(1500),
            at: moment(7),
            start_by: Some(moment(8)),
        }
        .into(),
        TaskEvent::Assigned {
            agent: AgentId::from_uuid(id(6)),
            agent_version: 4,
            reason: reason(),
            choice: Some(Box::new(assigned::choice())),
        }
        .into(),
        TaskEvent::Queued { slots: slots() }.into(),
        TaskEvent::AttemptStarted {
            attempt: 2,
            purpose: Purpose::Revision,
            platform: "openai".parse().unwrap(),
            model: Some("gpt-x".to_owned()),
            request_hash: std::array::from_fn(|place| u8::try_from(place).unwrap()),
            choice: Some(Choice {
                why: Why::Fallback { from: "anthropic".parse().unwrap(), after: ErrorKind::RateLimited },
                passed_over: passed_over(),
            }),
            reserved: vec![
                Reserved { purse: PurseId::from_uuid(id(11)), unit: Unit::Money, amount: u64::MAX },
                Reserved { purse: PurseId::from_uuid(id(12)), unit: Unit::Tokens, amount: 900 },
            ],
            masked: vec![
                Masked { kind: "EMAIL".to_owned(), count: 2 },
                Masked { kind: "PROJECT".to_owned(), count: u32::MAX },
            ],
            kept: Some(Kept { at: moment(14), usage: reply().usage, cost: Some(NanoUsd(-7)) }),
        }
        .into(),
        BudgetEvent::Set { settings: Box::new(budget()) }.into(),
        BudgetEvent::Removed { key: "all".parse().unwrap(), reason: reason() }.into(),
        PurseEvent::Reserved {
            payer: payer(),
            amount: 12_345,
            budget: "all".parse().unwrap(),
            partition: Some("run 7".to_owned()),
            window: moment(12),
            at: moment(13),
        }
        .into(),
        PurseEvent::Settled { payer: payer(), amount: 12_000, known: true }.into(),
        PurseEvent::Warned { used: 80, limit: 100 }.into(),
        TaskEvent::Postponed { until: moment(11), passed_over: passed_over() }.into(),
        TaskEvent::AttemptSucceeded { attempt: 2, reply: Box::new(reply()) }.into(),
        TaskEvent::AttemptFailed {
            attempt: 2,
            error: error(),
            retry_at: Some(Timestamp::from_micros(1_800_000_000_000_001)),
            consumed: Some(Consumed { cost: Some(NanoUsd(7_500)), ..Consumed::from(&reply()) }),
        }
        .into(),
        TaskEvent::AttemptLost { attempt: 2, retry_at: Some(Timestamp::from_micros(-1)) }.into(),
        TaskEvent::AttemptLate { attempt: 2, reply: Box::new(reply()) }.into(),
        TaskEvent::Deferred { retry_at: Some(moment(9)), start_by: Some(moment(10)) }.into(),
        TaskEvent::Completed {
            attempt: 2,
            output: Some(Box::new(output())),
            quality: Some(Box::new(quality())),
            review: Some(Box::new(verdict::review())),
        }
        .into(),
        TaskEvent::Failed { error: error() }.into(),
        TaskEvent::Cancelled { reason: reason() }.into(),
        AgentEvent::Registered { profile: Box::new(profile()) }.into(),
        AgentEvent::Revised { version: 2, profile: Box::new(profile()) }.into(),
        AgentEvent::Enabled.into(),
        AgentEvent::Disabled { reason: reason() }.into(),
        TemplateEvent::Registered { body: Box::new(body()) }.into(),
        TemplateEvent::Revised { version: 2, body: Box::new(body()) }.into(),
        LimitEvent::Set { settings: Box::new(limit()) }.into(),
        LimitEvent::Removed { reason: reason() }.into(),
        SlotsEvent::Requested {
            holder: holder(),
            limit: "gpu".parse().unwrap(),
            partition: Some("editorial/ä".to_owned()),
            priority: -100,
            fairness: "anna".to_owned(),
            at: moment(1),
        }
        .into(),
        SlotsEvent::Granted { holder: holder(), at: moment(2) }.into(),
        SlotsEvent::Released { holder: holder() }.into(),
        HoldEvent::Placed(Placed {
            scope: HoldScope::Workflow("write-report".parse().unwrap()),
            by: Actor::person("ada"),
            reason: reason(),
            at: moment(3),
            clock: PauseClock::Running,
        })
        .into(),
        HoldEvent::Lifted { by: Actor::person("bob"), at: moment(4) }.into(),
    ]
}

/// As little as each event can hold.
fn bare() -> Vec<Event> {
    let profile = Profile {
        name: "".into(),
        description: "".into(),
        capabilities: vec![],
        system_prompt: String::new(),
        constraints: vec![],
        platform: None,
        fallback_platforms: vec![],
        model: None,
        residency: [].into(),
        temperature_milli: None,
        max_tokens: None,
        top_p_milli: None,
        frequency_penalty_milli: None,
        presence_penalty_milli: None,
        timeout: Duration::ZERO,
        cost_limit: None,
        review_rounds: 0,
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
        residency: [].into(),
        ..body()
    };
    vec![
        WorkflowEvent::Drafted { version: 1, definition: Box::new(workflow::bare_definition()) }.into(),
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
                budget: None,
                never: vec![],
            },
            attempt_timeout: Duration::ZERO,
            at: Timestamp::from_micros(0),
            start_by: None,
        }
        .into(),
        TaskEvent::Assigned {
            agent: AgentId::from_uuid(Uuid::nil()),
            agent_version: 0,
            reason: String::new(),
            choice: None,
        }
        .into(),
        TaskEvent::AttemptStarted {
            attempt: 1,
            purpose: Purpose::Answer,
            platform: "p".parse().unwrap(),
            model: None,
            request_hash: [0; 32],
            choice: None,
            reserved: vec![],
            masked: vec![],
            kept: None,
        }
        .into(),
        BudgetEvent::Set {
            settings: Box::new(BudgetSettings {
                description: String::new(),
                warn_milli: None,
                unpriced: None,
                ..budget()
            }),
        }
        .into(),
        PurseEvent::Reserved {
            payer: payer(),
            amount: 0,
            budget: "all".parse().unwrap(),
            partition: None,
            window: Timestamp::from_micros(0),
            at: Timestamp::from_micros(0),
        }
        .into(),
        TaskEvent::AttemptFailed { attempt: 1, error: error(), retry_at: None, consumed: None }.into(),
        TaskEvent::AttemptSucceeded { attempt: 1, reply: Box::new(bare_reply()) }.into(),
        TaskEvent::AttemptLost { attempt: 1, retry_at: None }.into(),
        TaskEvent::Completed { attempt: 1, output: None, quality: None, review: None }.into(),
        TaskEvent::Queued { slots: vec![] }.into(),
        TaskEvent::Deferred { retry_at: None, start_by: None }.into(),
        AgentEvent::Registered { profile: Box::new(profile) }.into(),
        TemplateEvent::Registered { body: Box::new(body) }.into(),
        LimitEvent::Set {
            settings: Box::new(LimitSettings {
                description: String::new(),
                by: None,
                capacity: Capacity::default(),
                fairness: None,
                ..limit()
            }),
        }
        .into(),
        SlotsEvent::Requested {
            holder: Holder { task: None, ..holder() },
            limit: "g".parse().unwrap(),
            partition: None,
            priority: 0,
            fairness: String::new(),
            at: Timestamp::from_micros(0),
        }
        .into(),
        HoldEvent::Placed(Placed {
            scope: HoldScope::Everything,
            by: Actor::system("test"),
            reason: String::new(),
            at: Timestamp::from_micros(0),
            clock: PauseClock::Frozen,
        })
        .into(),
    ]
}

fn id(number: u8) -> Uuid {
    Uuid::from_bytes(std::array::from_fn(|place| u8::try_from(place).unwrap() * 16 + number))
}

fn moment(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + micros)
}

fn reason() -> String {
    "Zu teuer – „lieber“ morgen 🌒".to_owned()
}

fn retry() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 5,
        first_backoff: Duration::from_micros(1),
        multiplier_milli: 1500,
        max_backoff: Duration::from_secs(86_400),
        budget: Some(Duration::from_secs(3600)),
        never: vec![ErrorKind::MalformedReply, ErrorKind::Timeout],
    }
}

fn slots() -> Vec<SlotsNeed> {
    let need = |number, limit: &str, fairness: &str| SlotsNeed {
        slots: SlotsId::from_uuid(id(number)),
        limit: limit.parse().unwrap(),
        partition: (number == 7).then(|| "Büro 3".to_owned()),
        fairness: fairness.to_owned(),
    };
    vec![need(7, "gpu", "anna"), need(8, "writers", "")]
}

fn budget() -> BudgetSettings {
    BudgetSettings {
        key: "all".parse().unwrap(),
        description: "what we may spend".to_owned(),
        scope: BudgetScope::Organisation,
        unit: Unit::Money,
        limit: 250_000_000_000,
        window: Window::Month,
        warn_milli: Some(800),
        unpriced: Some(10_000_000),
    }
}

fn payer() -> Payer {
    Payer { task: TaskId::from_uuid(id(4)), attempt: 2 }
}

fn passed_over() -> Vec<PassedOver> {
    let one = |platform: &str, model: Option<&str>, reason: &str| PassedOver {
        platform: platform.parse().unwrap(),
        model: model.map(str::to_owned),
        reason: reason.to_owned(),
    };
    vec![one("gemini", Some("flash"), "it is resting after failures"), one("ollama", None, "it cannot call tools")]
}

fn holder() -> Holder {
    Holder { run: RunId::from_uuid(id(1)), task: Some(TaskId::from_uuid(id(4))) }
}

fn limit() -> LimitSettings {
    LimitSettings {
        key: "writers".parse().unwrap(),
        description: "Not too many at once".to_owned(),
        scope: LimitScope::Workflow("write-report".parse().unwrap()),
        by: Some(Expression::trusted("input.customer")),
        capacity: Capacity { max_running: Some(3), rate: Some(Rate { starts: 10, per: Duration::from_secs(60) }) },
        fairness: Some(Expression::trusted("input.department")),
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
        first_piece: Some(Duration::from_micros(234_567)),
        simulated: true,
        account: Some(Box::new(Account::new(
            CostSource::Listed("2026-11-25".to_owned()),
            Some(json!({ "input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 90 })),
        ))),
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
        first_piece: None,
        simulated: false,
        account: None,
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
        residency: ["eu", "on-premises"].map(|tag| tag.parse().unwrap()).into(),
        temperature_milli: Some(700),
        max_tokens: Some(4096),
        top_p_milli: Some(950),
        frequency_penalty_milli: Some(-2000),
        presence_penalty_milli: Some(2000),
        timeout: Duration::from_secs(120),
        cost_limit: Some(NanoUsd(250_000_001)),
        review_rounds: 2,
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
        residency: ["iso-27001".parse().unwrap()].into(),
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

fn output() -> Output {
    let rated = |name: &str, mark| RatingPart { name: name.to_owned(), score: Score::of_hundredths(mark).unwrap() };
    let action = |priority| ActionItem {
        what: "Ask".to_owned(),
        owner: Some("Huda".to_owned()),
        due: Some("2026-12-01".to_owned()),
        priority,
    };
    let mut actions: Vec<ActionItem> = Priority::ALL.into_iter().map(Some).map(action).collect();
    actions.push(ActionItem { what: "File".to_owned(), owner: None, due: None, priority: None });
    Output {
        summary: Some("In short".to_owned()),
        results: "## النتائج".to_owned(),
        data: Some(json!({ "b": [1.5, null], "a": {} })),
        improvements: Some(vec!["Shorter".to_owned()]),
        critique: Some("Long".to_owned()),
        alternatives: Some(vec![]),
        actions: Some(actions),
        rating: Some(Rating { score: Score::of_hundredths(850).unwrap(), parts: vec![rated("clarity", 1000)] }),
    }
}

fn quality() -> Quality {
    let check = |item, holds| Checked { item, what: "It has a heading".to_owned(), holds };
    Quality { score: Score::of_hundredths(550).unwrap(), checks: vec![check(None, true), check(Some(300), false)] }
}
