//! Strategies for arbitrary events.

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

use std::collections::BTreeSet;
use std::sync::Arc;
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
    Account, Actor, ActorKind, AgentEvent, AgentId, AttemptError, Bilingual, BudgetEvent, Capability, CostSource,
    ErrorKind, Event, Expression, FinishReason, HoldEvent, Key, LimitEvent, NanoUsd, PlatformTag, PurseEvent, PurseId,
    Reply, RetryPolicy, RunId, SlotsEvent, SlotsId, StepName, TaskEvent, TaskId, TemplateEvent, TemplateId, Timestamp,
    Usage,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        workflow::event(),
        run::event(),
        task_event(),
        agent_event(),
        template_event(),
        limit_event(),
        slots_event(),
        budget_event(),
        purse_event(),
        hold_event(),
        search::event(),
        trigger::event(),
        trigger::external(),
        seal::event(),
        action::event(),
        denial::event(),
        denial::subject(),
        webhook::webhook(),
        webhook::delivery()
    ]
}

fn task_event() -> BoxedStrategy<Event> {
    let order = (option::of(uuid()), option::of(step_name()), uuid(), any::<u32>(), json());
    let created = (order, retry(), duration(), timestamp(), option::of(timestamp()));
    prop_oneof![
        created.prop_map(|(order, retry, attempt_timeout, at, start_by)| {
            let (run, step, template, template_version, parameters) = order;
            TaskEvent::Created {
                run: run.map(RunId::from_uuid),
                step,
                template: TemplateId::from_uuid(template),
                template_version,
                parameters: Arc::new(parameters),
                retry,
                attempt_timeout,
                at,
                start_by,
            }
        }),
        slots().prop_map(|slots| TaskEvent::Queued { slots }),
        (option::of(timestamp()), option::of(timestamp()))
            .prop_map(|(retry_at, start_by)| TaskEvent::Deferred { retry_at, start_by }),
        (uuid(), any::<u32>(), text(), option::of(assigned::choice())).prop_map(
            |(agent, agent_version, reason, choice)| TaskEvent::Assigned {
                agent: AgentId::from_uuid(agent),
                agent_version,
                reason,
                choice: choice.map(Box::new)
            }
        ),
        (
            (any::<u32>(), prop::sample::select(Purpose::ALL.as_slice())),
            key(),
            option::of(text()),
            any::<[u8; 32]>(),
            option::of(choice()),
            reserved(),
            masked(),
            option::of(kept())
        )
            .prop_map(|((attempt, purpose), platform, model, request_hash, choice, reserved, masked, kept)| {
                TaskEvent::AttemptStarted {
                    attempt,
                    purpose,
                    platform,
                    model,
                    request_hash,
                    choice,
                    reserved,
                    masked,
                    kept,
                }
            }),
        (timestamp(), passed_over()).prop_map(|(until, passed_over)| TaskEvent::Postponed { until, passed_over }),
        (any::<u32>(), reply())
            .prop_map(|(attempt, reply)| TaskEvent::AttemptSucceeded { attempt, reply: Box::new(reply) }),
        (any::<u32>(), error(), option::of(timestamp()), option::of(consumed())).prop_map(
            |(attempt, error, retry_at, consumed)| TaskEvent::AttemptFailed { attempt, error, retry_at, consumed }
        ),
        (any::<u32>(), option::of(timestamp()))
            .prop_map(|(attempt, retry_at)| TaskEvent::AttemptLost { attempt, retry_at }),
        (any::<u32>(), reply()).prop_map(|(attempt, reply)| TaskEvent::AttemptLate { attempt, reply: Box::new(reply) }),
        (any::<u32>(), option::of(output()), option::of(quality()), option::of(verdict::review())).prop_map(
            |(attempt, output, quality, review)| TaskEvent::Completed {
                attempt,
                output: output.map(Box::new),
                quality: quality.map(Box::new),
                review: review.map(Box::new),
            }
        ),
        verdict::events(),
        error().prop_map(|error| TaskEvent::Failed { error }),
        text().prop_map(|reason| TaskEvent::Cancelled { reason }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn choice() -> impl Strategy<Value = Choice> {
    let why = prop_oneof![
        Just(Why::First),
        Just(Why::Again),
        (key(), nameable()).prop_map(|(from, after)| Why::Fallback { from, after }),
    ];
    (why, passed_over()).prop_map(|(why, passed_over)| Choice { why, passed_over })
}

fn passed_over() -> impl Strategy<Value = Vec<PassedOver>> {
    let one = (key(), option::of(text()), text()).prop_map(|(platform, model, reason)| PassedOver {
        platform,
        model,
        reason,
    });
    vec(one, 0..3)
}

fn unit() -> impl Strategy<Value = Unit> {
    prop_oneof![Just(Unit::Money), Just(Unit::Tokens)]
}

fn reserved() -> impl Strategy<Value = Vec<Reserved>> {
    let one = (uuid(), unit(), any::<u64>()).prop_map(|(purse, unit, amount)| Reserved {
        purse: PurseId::from_uuid(purse),
        unit,
        amount,
    });
    vec(one, 0..3)
}

fn masked() -> impl Strategy<Value = Vec<Masked>> {
    vec((text(), any::<u32>()).prop_map(|(kind, count)| Masked { kind, count }), 0..3)
}

fn kept() -> impl Strategy<Value = Kept> {
    (timestamp(), usage(), option::of(any::<i64>())).prop_map(|(at, usage, cost)| Kept {
        at,
        usage,
        cost: cost.map(NanoUsd),
    })
}

fn budget_event() -> BoxedStrategy<Event> {
    let scope = prop_oneof![
        Just(BudgetScope::Organisation),
        text().prop_map(BudgetScope::Department),
        text().prop_map(BudgetScope::Person),
        text().prop_map(BudgetScope::ApiKey),
        key().prop_map(BudgetScope::Workflow),
        key().prop_map(BudgetScope::EachRun),
        key().prop_map(BudgetScope::Agent),
        key().prop_map(BudgetScope::Platform),
    ];
    let window = proptest::sample::select(Window::ALL.as_slice());
    let more = (option::of(any::<u16>()), option::of(any::<u64>()));
    prop_oneof![
        (key(), text(), scope, unit(), any::<u64>(), window, more).prop_map(
            |(key, description, scope, unit, limit, window, (warn_milli, unpriced))| {
                let settings = BudgetSettings { key, description, scope, unit, limit, window, warn_milli, unpriced };
                BudgetEvent::Set { settings: Box::new(settings) }
            }
        ),
        (key(), text()).prop_map(|(key, reason)| BudgetEvent::Removed { key, reason }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn purse_event() -> BoxedStrategy<Event> {
    let payer = || (uuid(), any::<u32>()).prop_map(|(task, attempt)| Payer { task: TaskId::from_uuid(task), attempt });
    prop_oneof![
        (payer(), any::<u64>(), key(), option::of(text()), timestamp(), timestamp()).prop_map(
            |(payer, amount, budget, partition, window, at)| PurseEvent::Reserved {
                payer,
                amount,
                budget,
                partition,
                window,
                at
            }
        ),
        (payer(), any::<u64>(), any::<bool>()).prop_map(|(payer, amount, known)| PurseEvent::Settled {
            payer,
            amount,
            known
        }),
        (any::<u64>(), any::<u64>()).prop_map(|(used, limit)| PurseEvent::Warned { used, limit }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn consumed() -> impl Strategy<Value = Consumed> {
    (usage(), option::of(any::<i64>()), option::of(account())).prop_map(|(usage, cost, account)| Consumed {
        usage,
        cost: cost.map(NanoUsd),
        account,
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || option::of(any::<u64>());
    (count(), count(), count(), count()).prop_map(|(input, cached, output, reasoning)| Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        output_tokens: output,
        reasoning_tokens: reasoning,
    })
}

fn agent_event() -> BoxedStrategy<Event> {
    prop_oneof![
        profile().prop_map(|profile| AgentEvent::Registered { profile: Box::new(profile) }),
        (any::<u32>(), profile())
            .prop_map(|(version, profile)| AgentEvent::Revised { version, profile: Box::new(profile) }),
        Just(AgentEvent::Enabled),
        text().prop_map(|reason| AgentEvent::Disabled { reason }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn template_event() -> BoxedStrategy<Event> {
    prop_oneof![
        body().prop_map(|body| TemplateEvent::Registered { body: Box::new(body) }),
        (any::<u32>(), body()).prop_map(|(version, body)| TemplateEvent::Revised { version, body: Box::new(body) }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn limit_event() -> BoxedStrategy<Event> {
    let scope = prop_oneof![
        key().prop_map(LimitScope::Workflow),
        key().prop_map(LimitScope::Agent),
        key().prop_map(LimitScope::Platform),
    ];
    let rate = (any::<u32>(), duration()).prop_map(|(starts, per)| Rate { starts, per });
    let capacity =
        (option::of(any::<u32>()), option::of(rate)).prop_map(|(max_running, rate)| Capacity { max_running, rate });
    prop_oneof![
        (key(), text(), scope, option::of(expression()), capacity, option::of(expression())).prop_map(
            |(key, description, scope, by, capacity, fairness)| {
                let settings = LimitSettings { key, description, scope, by, capacity, fairness };
                LimitEvent::Set { settings: Box::new(settings) }
            }
        ),
        text().prop_map(|reason| LimitEvent::Removed { reason }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn slots_event() -> BoxedStrategy<Event> {
    let holder = || {
        (uuid(), option::of(uuid()))
            .prop_map(|(run, task)| Holder { run: RunId::from_uuid(run), task: task.map(TaskId::from_uuid) })
    };
    prop_oneof![
        (holder(), key(), option::of(text()), any::<i32>(), text(), timestamp()).prop_map(
            |(holder, limit, partition, priority, fairness, at)| SlotsEvent::Requested {
                holder,
                limit,
                partition,
                priority,
                fairness,
                at
            }
        ),
        (holder(), timestamp()).prop_map(|(holder, at)| SlotsEvent::Granted { holder, at }),
        holder().prop_map(|holder| SlotsEvent::Released { holder }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn hold_event() -> BoxedStrategy<Event> {
    let scope = prop_oneof![Just(HoldScope::Everything), key().prop_map(HoldScope::Workflow)];
    prop_oneof![
        (scope, actor(), text(), timestamp(), clock())
            .prop_map(|(scope, by, reason, at, clock)| HoldEvent::Placed(Placed { scope, by, reason, at, clock })),
        (actor(), timestamp()).prop_map(|(by, at)| HoldEvent::Lifted { by, at }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn profile() -> BoxedStrategy<Profile> {
    let words = (key(), bilingual(), bilingual(), capabilities(), text(), text(), texts(), texts());
    let platform = (option::of(key()), vec(key(), 0..3), option::of(text()), residency());
    let sampling = (
        option::of(any::<u16>()),
        option::of(any::<u32>()),
        option::of(any::<u16>()),
        option::of(any::<i16>()),
        option::of(any::<i16>()),
    );
    let rules = (vec(bilingual(), 0..3), option::of(any::<i64>()), any::<u8>());
    (words, platform, sampling, duration(), any::<u32>(), rules)
        .prop_map(|(words, platform, sampling, timeout, context_window, (constraints, cost_limit, review_rounds))| {
            let (key, name, description, capabilities, system_prompt, department, languages, tags) = words;
            let (platform, fallback_platforms, model, residency) = platform;
            let (temperature_milli, max_tokens, top_p_milli, frequency_penalty_milli, presence_penalty_milli) =
                sampling;
            Profile {
                key,
                name,
                description,
                capabilities,
                system_prompt,
                constraints,
                platform,
                fallback_platforms,
                model,
                residency,
                temperature_milli,
                max_tokens,
                top_p_milli,
                frequency_penalty_milli,
                presence_penalty_milli,
                timeout,
                cost_limit: cost_limit.map(NanoUsd),
                review_rounds,
                context_window,
                languages,
                department,
                tags,
            }
        })
        .boxed()
}

fn body() -> BoxedStrategy<TemplateBody> {
    let words = (key(), bilingual(), bilingual(), text(), option::of(capability()), texts(), json(), text());
    let goal =
        (option::of(bilingual()), vec(checklist_item(), 0..4), option::of(json()), option::of(example()), residency());
    (words, goal)
        .prop_map(|(words, (result, checklist, output_schema, example, residency))| {
            let (key, title, description, department, capability, tags, parameters, instructions) = words;
            TemplateBody {
                key,
                title,
                description,
                department,
                capability,
                tags,
                parameters,
                instructions,
                result,
                checklist,
                output_schema,
                example,
                residency,
            }
        })
        .boxed()
}

fn residency() -> impl Strategy<Value = BTreeSet<PlatformTag>> {
    proptest::collection::btree_set("[a-z0-9_.:-]{1,64}".prop_map(|tag| tag.parse().unwrap()), 0..3)
}

fn checklist_item() -> impl Strategy<Value = ChecklistItem> {
    let check = prop_oneof![
        any::<u32>().prop_map(Check::MinWords),
        any::<u32>().prop_map(Check::MaxWords),
        bilingual().prop_map(Check::ContainsHeading),
        any::<u32>().prop_map(Check::MinHeadings),
        any::<u32>().prop_map(Check::MinListItems),
        any::<u32>().prop_map(Check::MaxListItems),
        any::<u32>().prop_map(Check::MinTableRows),
        Just(Check::ContainsCodeBlock),
        text().prop_map(Check::Mentions),
        texts().prop_map(Check::ContainsAny),
        texts().prop_map(Check::Omits),
        Just(Check::FitsOutputSchema),
    ];
    (bilingual(), option::of(check)).prop_map(|(text, check)| ChecklistItem { text, check })
}

fn example() -> impl Strategy<Value = Example> {
    (bilingual(), json(), option::of(json())).prop_map(|(request, parameters, parameters_ar)| Example {
        request,
        parameters,
        parameters_ar,
    })
}

fn bilingual() -> impl Strategy<Value = Bilingual> {
    (text(), option::of(text())).prop_map(|(en, ar)| Bilingual { en, ar })
}

fn capability() -> impl Strategy<Value = Capability> {
    proptest::sample::select(Capability::ALL.as_slice())
}

fn capabilities() -> impl Strategy<Value = Vec<Capability>> {
    vec(capability(), 0..3)
}

fn reply() -> BoxedStrategy<Reply> {
    let finish = prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ContentFilter),
        text().prop_map(FinishReason::Other),
    ];
    let times = (duration(), option::of(duration()));
    (text(), finish, text(), usage(), option::of(any::<i64>()), times, any::<bool>(), option::of(account()))
        .prop_map(|(text, finish, model, usage, cost, (duration, first_piece), simulated, account)| Reply {
            text,
            finish,
            model,
            usage,
            cost: cost.map(NanoUsd),
            duration,
            first_piece,
            simulated,
            account,
        })
        .boxed()
}

fn account() -> impl Strategy<Value = Box<Account>> {
    let source = prop_oneof![
        Just(CostSource::Unpriced),
        Just(CostSource::Reported),
        text().prop_map(CostSource::Listed),
        Just(CostSource::Free),
    ];
    (source, option::of(json())).prop_map(|(source, usage)| Box::new(Account::new(source, usage)))
}

fn error() -> impl Strategy<Value = AttemptError> {
    (proptest::sample::select(ErrorKind::ALL.as_slice()), text(), option::of(duration()))
        .prop_map(|(kind, message, retry_after)| AttemptError { kind, message, retry_after })
}

/// The kinds that can be named where no newer ones can.
fn nameable() -> impl Strategy<Value = ErrorKind> {
    proptest::sample::select(ErrorKind::ALL.as_slice())
        .prop_filter("it is newer", |kind| !matches!(kind, ErrorKind::BudgetExhausted | ErrorKind::TagMissing))
}

fn retry() -> impl Strategy<Value = RetryPolicy> {
    let pause = (duration(), any::<u32>(), duration());
    let never = vec(nameable(), 0..3);
    (any::<u32>(), pause, option::of(duration()), never).prop_map(|(max_attempts, pause, budget, never)| {
        let (first_backoff, multiplier_milli, max_backoff) = pause;
        RetryPolicy { max_attempts, first_backoff, multiplier_milli, max_backoff, budget, never }
    })
}

fn slots() -> impl Strategy<Value = Vec<SlotsNeed>> {
    let need = (uuid(), key(), option::of(text()), text()).prop_map(|(slots, limit, partition, fairness)| SlotsNeed {
        slots: SlotsId::from_uuid(slots),
        limit,
        partition,
        fairness,
    });
    vec(need, 0..3)
}

fn actor() -> impl Strategy<Value = Actor> {
    let kinds = vec![ActorKind::Person, ActorKind::ApiKey, ActorKind::Schedule, ActorKind::Agent, ActorKind::System];
    (proptest::sample::select(kinds), text()).prop_map(|(kind, id)| Actor { kind, id })
}

fn clock() -> impl Strategy<Value = PauseClock> {
    proptest::sample::select(PauseClock::ALL.as_slice())
}

fn expression() -> impl Strategy<Value = Expression> {
    text().prop_map(|source| Expression::trusted(&source))
}

fn json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
    .boxed()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ -~]{0,12}", 1 => "\\PC{0,8}", 1 => any::<String>()]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

fn key() -> impl Strategy<Value = Key> {
    "[a-z0-9][a-z0-9._-]{0,63}".prop_map(|key| key.parse().unwrap())
}

fn step_name() -> impl Strategy<Value = StepName> {
    "[a-z][a-z0-9_]{0,63}".prop_map(|name| name.parse().unwrap())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

fn score() -> impl Strategy<Value = Score> {
    (100_u16..=1000).prop_map(|mark| Score::of_hundredths(mark).unwrap())
}

fn output() -> impl Strategy<Value = Output> {
    let due = option::of(text());
    let priority = option::of(prop::sample::select(Priority::ALL.as_slice()));
    let action = (text(), option::of(text()), due, priority).prop_map(|(what, owner, due, priority)| ActionItem {
        what,
        owner,
        due,
        priority,
    });
    let part = (text(), score()).prop_map(|(name, score)| RatingPart { name, score });
    let rating = (score(), vec(part, 0..3)).prop_map(|(score, parts)| Rating { score, parts });
    let said = (option::of(text()), text(), option::of(json()), option::of(text()));
    let listed = (option::of(texts()), option::of(texts()), option::of(vec(action, 0..3)), option::of(rating));
    (said, listed).prop_map(|((summary, results, data, critique), (improvements, alternatives, actions, rating))| {
        Output { summary, results, data, improvements, critique, alternatives, actions, rating }
    })
}

fn quality() -> impl Strategy<Value = Quality> {
    let check =
        (option::of(any::<u32>()), text(), any::<bool>()).prop_map(|(item, what, holds)| Checked { item, what, holds });
    (score(), vec(check, 0..3)).prop_map(|(score, checks)| Quality { score, checks })
}
