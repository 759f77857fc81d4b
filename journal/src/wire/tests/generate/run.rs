//! Arbitrary events of runs.

use std::sync::Arc;

use domain::run::{Again, Firing, Lineage, LineageKind, Overrides, Parent, Pause, Start, StepOverride};
use domain::task::Form;
use domain::workflow::Assignee;
use domain::{Event, HoldId, NodeId, RunEvent, RunId, SubjectId, TaskId, TriggerId, WorkflowId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::workflow::definition;
use super::{actor, clock, duration, error, json, key, slots, step_name, text, timestamp, uuid};

pub(super) fn event() -> BoxedStrategy<Event> {
    prop_oneof![3 => whole(), 3 => of_steps(), 2 => of_items_and_undoing(), 3 => waiting()]
        .prop_map(Event::from)
        .boxed()
}

fn shared() -> impl Strategy<Value = Arc<Value>> {
    json().prop_map(Arc::new)
}

fn task() -> impl Strategy<Value = TaskId> {
    uuid().prop_map(TaskId::from_uuid)
}

fn run() -> impl Strategy<Value = RunId> {
    uuid().prop_map(RunId::from_uuid)
}

fn start() -> BoxedStrategy<Start> {
    let parent = (run(), step_name(), any::<u32>()).prop_map(|(run, step, depth)| Parent { run, step, depth });
    let change = (step_name(), option::of(key().prop_map(Assignee::from)), option::of(key()))
        .prop_map(|(step, agent, template)| StepOverride { step, agent, template });
    let overrides = (option::of(text()), vec(change, 0..3)).prop_map(|(model, steps)| Overrides { model, steps });
    let lineage = (run(), any::<u64>(), select(LineageKind::ALL.as_slice()), vec(step_name(), 0..3), overrides)
        .prop_map(|(run, revision, kind, kept, overrides)| Lineage { run, revision, kind, kept, overrides });
    let trigger =
        (uuid(), text()).prop_map(|(trigger, cause)| Firing { trigger: TriggerId::from_uuid(trigger), cause });
    let what = (run(), uuid(), any::<u32>(), definition(), shared());
    let when = (actor(), timestamp(), option::of(timestamp()), any::<i32>());
    let form = select(Form::ALL.as_slice());
    let again = (uuid(), any::<u32>(), option::of(any::<u32>()), option::of(text()));
    let again = again.prop_map(|(task, template_version, agent_version, model)| {
        let task = TaskId::from_uuid(task);
        Again { task, template_version, agent_version, model }
    });
    let form = (form, option::of(again));
    let whence = (option::of(parent), option::of(lineage), option::of(trigger), option::of(uuid()), form);
    (what, when, whence)
        .prop_map(|(what, (by, at, deadline, priority), (parent, lineage, trigger, subject, (form, again)))| {
            let (id, workflow, version, definition, input) = what;
            Start {
                id,
                workflow: WorkflowId::from_uuid(workflow),
                version,
                definition: Arc::new(definition),
                input,
                by,
                at,
                deadline,
                priority,
                parent,
                lineage,
                trigger,
                subject: subject.map(SubjectId::from_uuid),
                form,
                again,
            }
        })
        .boxed()
}

fn whole() -> BoxedStrategy<RunEvent> {
    let pause = (actor(), text(), timestamp(), clock(), option::of(uuid()))
        .prop_map(|(by, reason, at, clock, hold)| Pause { by, reason, at, clock, hold: hold.map(HoldId::from_uuid) });
    prop_oneof![
        start().prop_map(|start| RunEvent::Started(Box::new(start))),
        (uuid(), any::<u64>()).prop_map(|(node, epoch)| RunEvent::Claimed { node: NodeId::from_uuid(node), epoch }),
        (slots(), timestamp()).prop_map(|(slots, at)| RunEvent::Queued { slots, at }),
        Just(RunEvent::Admitted),
        pause.prop_map(RunEvent::Paused),
        (actor(), timestamp()).prop_map(|(by, at)| RunEvent::Resumed { by, at }),
        (text(), timestamp(), duration()).prop_map(|(reason, at, grace)| RunEvent::CancelRequested {
            reason,
            at,
            grace
        }),
        error().prop_map(|error| RunEvent::Failing { error }),
        (text(), timestamp()).prop_map(|(what, at)| RunEvent::Stalled { what, at }),
        (shared(), any::<bool>()).prop_map(|(output, simulated)| RunEvent::Completed { output, simulated }),
        (option::of(step_name()), error()).prop_map(|(step, error)| RunEvent::Failed { step, error }),
        text().prop_map(|reason| RunEvent::Cancelled { reason }),
    ]
    .boxed()
}

fn of_steps() -> BoxedStrategy<RunEvent> {
    prop_oneof![
        (step_name(), task(), timestamp(), option::of(timestamp()))
            .prop_map(|(step, task, at, deadline)| RunEvent::StepStarted { step, task, at, deadline }),
        (step_name(), text()).prop_map(|(step, reason)| RunEvent::StepSkipped { step, reason }),
        (step_name(), shared(), any::<bool>()).prop_map(|(step, output, simulated)| RunEvent::StepCompleted {
            step,
            output,
            simulated
        }),
        (step_name(), error()).prop_map(|(step, error)| RunEvent::StepFailed { step, error }),
        step_name().prop_map(|step| RunEvent::StepCancelled { step }),
    ]
    .boxed()
}

fn of_items_and_undoing() -> BoxedStrategy<RunEvent> {
    prop_oneof![
        (step_name(), shared(), timestamp(), option::of(timestamp()))
            .prop_map(|(step, items, at, deadline)| RunEvent::ItemsPlanned { step, items, at, deadline }),
        (step_name(), any::<u32>(), task()).prop_map(|(step, item, task)| RunEvent::ItemStarted { step, item, task }),
        (step_name(), any::<u32>(), shared(), any::<bool>())
            .prop_map(|(step, item, result, simulated)| RunEvent::ItemCompleted { step, item, result, simulated }),
        (step_name(), any::<u32>(), error()).prop_map(|(step, item, error)| RunEvent::ItemFailed { step, item, error }),
        (step_name(), task(), timestamp()).prop_map(|(step, task, at)| RunEvent::CompensationStarted {
            step,
            task,
            at
        }),
        (step_name(), any::<bool>()).prop_map(|(step, simulated)| RunEvent::CompensationCompleted { step, simulated }),
        (step_name(), error()).prop_map(|(step, error)| RunEvent::CompensationFailed { step, error }),
    ]
    .boxed()
}

fn waiting() -> BoxedStrategy<RunEvent> {
    let until = || (timestamp(), option::of(timestamp()));
    prop_oneof![
        (step_name(), shared(), any::<[u8; 32]>(), until(), option::of(timestamp())).prop_map(
            |(step, content, content_hash, (at, deadline), expires_at)| RunEvent::ApprovalRequested {
                step,
                content,
                content_hash,
                at,
                expires_at,
                deadline
            }
        ),
        (step_name(), actor(), any::<bool>(), text(), any::<[u8; 32]>(), timestamp()).prop_map(
            |(step, by, approved, comment, content_hash, at)| RunEvent::ApprovalDecided {
                step,
                by,
                approved,
                comment,
                content_hash,
                at
            }
        ),
        step_name().prop_map(|step| RunEvent::ApprovalExpired { step }),
        (step_name(), timestamp(), until()).prop_map(|(step, fires_at, (at, deadline))| RunEvent::TimerStarted {
            step,
            fires_at,
            at,
            deadline
        }),
        (step_name(), step_name(), until()).prop_map(|(step, signal, (at, deadline))| RunEvent::SignalAwaited {
            step,
            signal,
            at,
            deadline
        }),
        (step_name(), shared(), timestamp()).prop_map(|(signal, payload, at)| RunEvent::SignalReceived {
            signal,
            payload,
            at
        }),
        (step_name(), run(), until()).prop_map(|(step, run, (at, deadline))| RunEvent::ChildStarted {
            step,
            run,
            at,
            deadline
        }),
        (step_name(), run()).prop_map(|(step, run)| RunEvent::ChildAbandoned { step, run }),
    ]
    .boxed()
}
