//! The parts of an output: asked for, read, asked for once more, and made do without.

use std::sync::Arc;

use domain::run::RunStatus;
use domain::task::{AttemptStatus, Form, Priority, Task};
use domain::template::{Check, ChecklistItem, TemplateBody};
use domain::{ErrorKind, Event, RunId, TaskEvent, TaskId};
use providers::{Behaviour, Capabilities, Failure, FailureKind, Message, Request, Simulator};
use serde_json::{Value, json};

use crate::world::{World, me, name, step, workflow};

/// In the form that is asked for; the simulator's label stands before it.
const WHOLE: &str = "\n## Summary\nIn short.\n\n## Results\nThe **answer**.\n\n## Suggested improvements\n- Shorter\n\n## Critique\n\
                     Long.\n\n## Alternatives\nNone\n\n## Action items\n- Ask finance | owner: Huda | priority: high\n\n## Quality\nscore: 8/10";

/// Answers the first question of a task with one text and a second one with another.
fn answering(first: &'static str, second: &'static str) -> Simulator {
    let script = move |request: &Request, _| {
        Behaviour::Say(if request.turns.is_empty() { first.to_owned() } else { second.to_owned() })
    };
    Simulator::builder().script(script).build()
}

async fn start(world: &World, form: Form) -> RunId {
    world.offer(workflow(vec![step("one", &[], "'x'"), step("two", &["one"], "steps.one.text")])).await;
    let start = commands::StartRun { form: Some(form), ..commands::StartRun::new("flow".parse().unwrap(), json!({})) };
    world.commands.start_run(me(), start).await.unwrap().run
}

async fn task(world: &World, run: RunId, step: &str) -> Arc<Task> {
    world.commands.ended_task(TaskId::of_step(run, &name(step))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_asked_for_where_they_are_wanted_and_nothing_else_changes() {
    let world = World::with(answering(WHOLE, WHOLE)).await;
    for (form, parts) in [(Form::Text, [false, false]), (Form::Last, [false, true]), (Form::Every, [true, true])] {
        let run = start(&world, form).await;
        let ended = world.finished(run).await;
        assert_eq!(ended.status(), RunStatus::Completed);
        for (step, parts) in ["one", "two"].into_iter().zip(parts) {
            let task = task(&world, run, step).await;
            assert_eq!(task.attempts().len(), 1, "a good answer is asked for once");
            assert_eq!(task.output().is_some(), parts, "{form:?} {step}");
            let text = ended.outputs()[&name(step)]["text"].as_str().unwrap();
            if parts {
                let output = task.output().unwrap();
                assert_eq!(output.summary.as_deref(), Some("In short."));
                assert_eq!(output.actions.as_ref().unwrap()[0].priority, Some(Priority::High));
                assert_eq!(text, "The **answer**.", "mappings see the results and nothing else");
            } else {
                assert!(text.contains("## Summary"), "{text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_the_form_is_asked_for_once_more() {
    let world = World::with(answering("Just text.", WHOLE)).await;
    let run = start(&world, Form::Last).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let task = task(&world, run, "two").await;
    assert_eq!(task.attempts().len(), 2);
    assert_eq!(task.output().unwrap().results, "The **answer**.");
    assert!(task.reply().unwrap().text.contains("## Summary"), "the second answer counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_keep_the_form_gives_an_honest_output() {
    let world = World::with(answering("Just text.", "Still text.")).await;
    let run = start(&world, Form::Every).await;
    let ended = world.finished(run).await;
    let task = task(&world, run, "one").await;
    assert_eq!(task.attempts().len(), 2, "it is asked twice and no more");
    let output = task.output().unwrap();
    assert!(output.results.ends_with("Just text."), "the first answer counts: {}", output.results);
    assert_eq!((&output.summary, &output.critique, &output.actions, &output.rating), (&None, &None, &None, &None));
    assert_eq!(ended.outputs()[&name("one")]["text"], output.results.as_str());
    assert_eq!(world.count("task.completed").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_that_fails_costs_nothing_but_itself() {
    let script = |request: &Request, _| match request.turns.is_empty() {
        true => Behaviour::Say("Just text.".to_owned()),
        false => Behaviour::Fail(Failure::new(FailureKind::InvalidRequest, "no second question")),
    };
    let world = World::with(Simulator::builder().script(script).build()).await;
    let run = start(&world, Form::Last).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let task = task(&world, run, "two").await;
    let AttemptStatus::Failed(error) = &task.attempts()[1].status else { panic!("{:?}", task.attempts()) };
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
    assert!(task.output().unwrap().results.ends_with("Just text."));
    assert_eq!(world.count("task.failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_question_holds_what_was_said() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let script = move |request: &Request, _| {
        sender.send(request.clone()).unwrap();
        Behaviour::Say("Just text.".to_owned())
    };
    let capable = Capabilities { schema: Some(true), ..Capabilities::default() };
    let world = World::with(Simulator::builder().capabilities(capable).script(script).build()).await;
    let run = start(&world, Form::Last).await;
    world.finished(run).await;
    let asked: Vec<Request> = receiver.try_iter().collect();
    let [plain, first, second] = &asked[..] else { panic!("{} questions", asked.len()) };
    assert!(!plain.user.contains("## Summary") && plain.output.is_none());
    assert!(first.user.contains("## Action items") && first.turns.is_empty());
    assert_eq!(first.output.as_ref().unwrap().schema, output::schema(), "the platform holds models to schemas");
    assert_eq!(first.user, second.user);
    let [Message::Assistant { text, .. }, Message::User { text: asks, .. }] = &second.turns[..] else {
        panic!("{:?}", second.turns)
    };
    assert!(text.contains("Just text.") && asks.contains("parts"), "{text} {asks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_can_decide_about_an_answer_is_decided() {
    let world =
        World::with(Simulator::builder().script(|_, _| Behaviour::Say("one two three".to_owned())).build()).await;
    let item = |text: &str, check: Option<Check>| ChecklistItem { text: text.into(), check };
    let parameters = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let body = TemplateBody {
        checklist: vec![
            item("long enough", Some(Check::MinWords(3))),
            item("has a table", Some(Check::MinTableRows(1))),
            item("reads well", None),
        ],
        ..TemplateBody::new("echo".parse().unwrap(), "Echo", parameters, "{{ text }}")
    };
    world.commands.register_template(me(), body).await.unwrap();
    let run = start(&world, Form::Text).await;
    world.finished(run).await;
    let task = task(&world, run, "one").await;
    let quality = task.quality().unwrap();
    let holds: Vec<bool> = quality.checks.iter().map(|check| check.holds).collect();
    assert_eq!(holds, [true, true, true, false], "{:?}", quality.checks);
    assert_eq!(quality.score.hundredths(), 775);
    let recorded = world.events().await;
    let completed =
        |event: &&Event| matches!(event, Event::Task(TaskEvent::Completed { quality: Some(_), output: None, .. }));
    assert_eq!(recorded.iter().filter(completed).count(), 2);
    assert_ne!(ended_output(&world, run).await, Value::Null);
}

/// A template whose answers are to hold data.
async fn with_data(world: &World) {
    let parameters = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let schema = json!({ "type": "object", "required": ["words"], "properties": { "words": { "type": "integer" } } });
    let body = TemplateBody {
        output_schema: Some(schema),
        ..TemplateBody::new("echo".parse().unwrap(), "Echo", parameters, "{{ text }}")
    };
    world.commands.register_template(me(), body).await.unwrap();
}

/// All parts, and data of these words under the results.
fn whole_with(data: &str) -> &'static str {
    let data = format!("## Results\nThe **answer**.\n```json\n{data}\n```\n\n");
    WHOLE.replace("## Results\nThe **answer**.\n\n", &data).leak()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_does_not_fit_is_asked_for_once_more() {
    let (wrong, right) = ("{\"words\": \"two\"}", "{\"words\": 2}");
    let cases = [
        (Form::Every, whole_with(wrong), whole_with(right), 2),
        (Form::Every, WHOLE, whole_with(right), 2),
        (Form::Every, whole_with(right), WHOLE, 1),
        (Form::Text, "Two words.\n```json\n{\"words\": \"two\"}\n```", "```json\n{\"words\": 2}\n```", 2),
        (Form::Text, "None.", "```json\n{\"words\": 2}\n```", 2),
        (Form::Text, "```json\n{\"words\": 2}\n```", "None.", 1),
    ];
    for (form, first, second, attempts) in cases {
        let (sender, receiver) = std::sync::mpsc::channel();
        let script = move |request: &Request, _| {
            sender.send(request.clone()).unwrap();
            Behaviour::Say(format!("\n{}", if request.turns.is_empty() { first } else { second }))
        };
        let world = World::with(Simulator::builder().script(script).build()).await;
        with_data(&world).await;
        let run = start(&world, form).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        let task = task(&world, run, "one").await;
        assert_eq!(task.attempts().len(), attempts, "{form:?} {first}");
        let counts = task.reply().unwrap().text.contains("\"words\": 2");
        assert!(counts, "the answer with data that fits counts: {form:?} {}", task.reply().unwrap().text);
        let asked: Vec<Request> = receiver.try_iter().filter(|request| request.user.starts_with("x\n")).collect();
        let schema = "{\"type\":\"object\"";
        assert!(asked.iter().all(|request| request.user.contains(schema)), "it is told of the schema at once");
        if let Some(Message::User { text, .. }) = asked.get(1).and_then(|request| request.turns.last()) {
            assert!(text.contains("data") && text.contains(schema), "{text}");
            assert_eq!(text.contains("/words"), first.contains("two"), "what does not fit is said: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_never_fits_gives_an_honest_output() {
    let world = World::with(answering(WHOLE, "Still none.")).await;
    with_data(&world).await;
    let run = start(&world, Form::Every).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let task = task(&world, run, "one").await;
    assert_eq!(task.attempts().len(), 2);
    let output = task.output().unwrap();
    assert_eq!((output.results.as_str(), &output.data), ("The **answer**.", &None), "the one with the parts counts");
}

async fn ended_output(world: &World, run: RunId) -> Value {
    world.run(run).await.output().map(|output| (**output).clone()).unwrap_or_default()
}
