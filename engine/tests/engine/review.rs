//! Answers that are held against the checklist and revised before they count.

use std::sync::Arc;

use domain::agent::Profile;
use domain::run::RunStatus;
use domain::task::{Form, Purpose, Task};
use domain::template::{Check, ChecklistItem, TemplateBody};
use domain::{RunId, TaskId};
use parking_lot::Mutex;
use providers::{Behaviour, Failure, FailureKind, Message, Request, Simulator};
use serde_json::json;

use crate::world::{World, me, name, step, worker, workflow};

const SHORT: &str = "Too short.";
const LONGER: &str = "This has all the words that were wanted of it.";
const LISTED: &str = "This has all the words that were wanted of it.\n\n- and a list";

/// An answer in the form that is asked for.
fn whole(results: &str, improvements: &str) -> String {
    format!(
        "\n## Summary\nIn short.\n\n## Results\n{results}\n\n## Suggested improvements\n{improvements}\n\n## Critique\nShort.\n\n\
         ## Alternatives\nNone\n\n## Action items\nNone\n\n## Quality\nscore: 6/10"
    )
}

/// A platform that gives these answers one after the other, then nothing but failures, and keeps what it was asked.
fn saying(answers: &[String]) -> (Simulator, Arc<Mutex<Vec<Request>>>) {
    let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
    let (kept, answers) = (Arc::clone(&asked), answers.to_vec());
    let script = move |request: &Request, _| {
        let mut asked = kept.lock();
        asked.push(request.clone());
        match answers.get(asked.len() - 1) {
            Some(answer) => Behaviour::Say(answer.clone()),
            None => Behaviour::Fail(Failure::new(FailureKind::InvalidRequest, "that is all I say")),
        }
    };
    (Simulator::builder().script(script).build(), asked)
}

fn template(checked: bool) -> TemplateBody {
    let item = |text: &str, check| ChecklistItem { text: text.into(), check };
    let parameters = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let checklist = vec![
        item("It has eight words", checked.then_some(Check::MinWords(8))),
        item("It has a list", checked.then_some(Check::MinListItems(1))),
        item("It reads well", None),
    ];
    TemplateBody { checklist, ..TemplateBody::new("echo".parse().unwrap(), "Echo", parameters, "{{ text }}") }
}

/// Lets the answers be reviewed so often; answers with the task, whose run has completed.
async fn reviewed(
    rounds: u8,
    form: Form,
    body: TemplateBody,
    answers: &[String],
) -> (Arc<Task>, World, RunId, Vec<Request>) {
    let (platform, asked) = saying(answers);
    let world = World::with(platform).await;
    world.commands.register_template(me(), body).await.unwrap();
    world.commands.register_agent(me(), Profile { review_rounds: rounds, ..worker() }).await.unwrap();
    world.offer(workflow(vec![step("one", &[], "'x'")])).await;
    let start = commands::StartRun { form: Some(form), ..commands::StartRun::new("flow".parse().unwrap(), json!({})) };
    let run = world.commands.start_run(me(), start).await.unwrap().run;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let task = world.commands.ended_task(TaskId::of_step(run, &name("one"))).await.unwrap();
    let asked = asked.lock().clone();
    (task, world, run, asked)
}

fn purposes(task: &Task) -> Vec<Purpose> {
    task.attempts().iter().map(|attempt| attempt.purpose).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_be_better_is_revised_and_the_better_one_counts() {
    let answers = [whole(SHORT, "- Say more"), whole(LISTED, "None")];
    let (task, world, run, asked) = reviewed(1, Form::Last, template(true), &answers).await;
    assert_eq!(purposes(&task), [Purpose::Answer, Purpose::Revision]);
    assert_eq!(task.output().unwrap().results, LISTED);
    let review = task.review().unwrap();
    let marks: Vec<_> = review.versions.iter().map(|version| version.checks.unwrap().hundredths()).collect();
    assert_eq!((marks, review.rounds, review.gain()), (vec![640, 1000], 1, Some(360)));
    assert_eq!(task.quality().unwrap().score.hundredths(), 1000);
    // Both versions are kept: the first is the reply of its attempt.
    assert!(task.answer().unwrap().1.text.contains(SHORT));
    assert_eq!(world.run(run).await.outputs()[&name("one")]["text"], LISTED);
    let [first, second] = &asked[..] else { panic!("{} questions", asked.len()) };
    assert_eq!(first.user, second.user);
    let [Message::Assistant { text, .. }, Message::User { text: asks, .. }] = &second.turns[..] else {
        panic!("{:?}", second.turns)
    };
    assert!(text.contains(SHORT));
    for wanted in ["- It reads well", "do not hold:\n- It has eight words\n- It has a list", "yourself:\n- Say more"] {
        assert!(asks.contains(wanted), "{wanted} is not in {asks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_no_better_does_not_count() {
    for second in [whole(SHORT, "None"), "No form at all.".to_owned()] {
        let answers = [whole(LONGER, "- Add a list"), second.clone()];
        let (task, world, run, _) = reviewed(3, Form::Every, template(true), &answers).await;
        assert_eq!(purposes(&task), [Purpose::Answer, Purpose::Revision], "it does not rise, so it ends: {second}");
        assert_eq!(task.output().unwrap().results, LONGER);
        assert_eq!((task.counting_attempt(), task.review().unwrap().gain()), (Some(1), Some(0)));
        assert_eq!(world.run(run).await.outputs()[&name("one")]["text"], LONGER);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_go_on_while_it_gets_better_and_no_longer() {
    let answers = [whole(SHORT, "- More"), whole(LONGER, "- More"), whole(LONGER, "- More"), whole(LISTED, "None")];
    let (task, ..) = reviewed(3, Form::Last, template(true), &answers).await;
    assert_eq!(task.attempts().len(), 3, "the third version was no better than the second");
    let review = task.review().unwrap();
    assert_eq!((review.rounds, review.best().unwrap().attempt, review.gain()), (2, 2, Some(180)));
    let (task, ..) = reviewed(1, Form::Last, template(true), &answers).await;
    assert_eq!(task.attempts().len(), 2, "one round is one round");
    let rising = [whole(SHORT, "- More"), whole(LONGER, "- More"), whole(LISTED, "None"), whole(LISTED, "None")];
    let (task, ..) = reviewed(3, Form::Last, template(true), &rising).await;
    assert_eq!(task.attempts().len(), 3, "there is nothing left to better");
    assert_eq!(task.counting_attempt(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_review_gets_none() {
    let poor = [whole(SHORT, "- Say more")];
    let bare = TemplateBody { checklist: vec![], ..template(true) };
    let good = [whole(LISTED, "None")];
    for (what, rounds, form, body, answers) in [
        ("the agent does not review", 0, Form::Last, template(true), &poor),
        ("only the answer was asked for", 1, Form::Text, template(true), &poor),
        ("there is no checklist", 1, Form::Last, bare, &poor),
        ("nothing could be better", 1, Form::Last, template(true), &good),
    ] {
        let (task, ..) = reviewed(rounds, form, body, answers).await;
        assert_eq!((task.attempts().len(), task.review()), (1, None), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_checks_the_authors_own_mark_decides() {
    let better = whole(LONGER, "None").replace("6/10", "9/10");
    let (task, ..) = reviewed(1, Form::Last, template(false), &[whole(SHORT, "- Say more"), better]).await;
    assert_eq!((task.counting_attempt(), task.review().unwrap().gain()), (Some(2), None));
    let (task, ..) = reviewed(1, Form::Last, template(false), &[whole(SHORT, "- More"), whole(LONGER, "None")]).await;
    assert_eq!(task.counting_attempt(), Some(1), "of equals the first counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_fails_costs_nothing_but_itself() {
    let (task, world, ..) = reviewed(2, Form::Last, template(true), &[whole(SHORT, "- Say more")]).await;
    assert_eq!(purposes(&task), [Purpose::Answer, Purpose::Revision]);
    let review = task.review().unwrap();
    assert_eq!((review.rounds, review.versions.len(), task.counting_attempt()), (1, 1, Some(1)));
    assert_eq!(task.output().unwrap().results, SHORT);
    assert_eq!(world.count("task.failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_form_is_asked_for_its_form_first() {
    let answers = ["Just text.".to_owned(), whole(SHORT, "- Say more"), whole(LISTED, "None")];
    let (task, ..) = reviewed(1, Form::Last, template(true), &answers).await;
    assert_eq!(purposes(&task), [Purpose::Answer, Purpose::Form, Purpose::Revision]);
    assert_eq!(task.output().unwrap().results, LISTED);
    assert_eq!(task.review().unwrap().versions[0].attempt, 2, "what has no form is no version");
}
