//! Answers that a judge is asked about.

use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, RateTask};
use domain::agent::Profile;
use domain::run::RunStatus;
use domain::task::{QualitySource, Task};
use domain::template::{ChecklistItem, TemplateBody};
use domain::{Event, Run, RunId, TaskEvent, TaskId};
use engine::judge::{Options, Service};
use journal::{Checkpoints, MemoryCheckpoints};
use providers::{Behaviour, Failure, FailureKind, Request, Simulator};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{World, me, name, step, workflow};

/// Answers tasks with their text, and judges with these opinions, by the number of the sample.
fn judging(opinions: &[&'static str]) -> Simulator {
    let opinions = opinions.to_vec();
    let script = move |request: &Request, _| {
        if !request.user.starts_with("Judge a piece of work") {
            return Behaviour::Say("A fine piece of work.".to_owned());
        }
        let sample = (1..).zip(&opinions).find(|(number, _)| request.user.contains(&format!("opinion {number} of")));
        match sample.map(|(_, opinion)| *opinion) {
            Some("") | None => Behaviour::Fail(Failure::new(FailureKind::InvalidRequest, "no opinion")),
            Some(opinion) => Behaviour::Say(opinion.to_owned()),
        }
    };
    Simulator::builder().script(script).build()
}

/// Judges that work until dropped.
struct Judges {
    shutdown: CancellationToken,
    working: JoinSet<()>,
}

impl Judges {
    async fn of(world: &World, options: Options, many: usize) -> Self {
        let (shutdown, mut working) = (CancellationToken::new(), JoinSet::new());
        let from = Arc::new(MemoryCheckpoints::default());
        // They begin where they stand now, however late they come to it.
        let position = world.journal.head().await.unwrap();
        from.save("judge", journal::Checkpoint { position, state: vec![] }).await.unwrap();
        for _ in 0..many {
            let commands = Commands::new(Arc::clone(&world.journal));
            let service = Service::new(options.clone(), commands, Arc::clone(&from) as _);
            let until = shutdown.clone();
            working.spawn(async move { service.run(until).await.unwrap() });
        }
        Self { shutdown, working }
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.working.join_next().await {
            ended.unwrap();
        }
    }
}

fn options() -> Options {
    Options { retry_after: Duration::from_millis(5), ..Options::new(vec!["reviewer".parse().unwrap()]) }
}

async fn world(opinions: &[&'static str]) -> World {
    let world = World::with(judging(opinions)).await;
    let parameters = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let checklist = vec![ChecklistItem { text: "It is fine".into(), check: None }];
    let body =
        TemplateBody { checklist, ..TemplateBody::new("echo".parse().unwrap(), "Echo", parameters, "{{ text }}") };
    world.commands.register_template(me(), body).await.unwrap();
    let reviewer = Profile::new("reviewer".parse().unwrap(), "Reviewer", "You review.");
    world.commands.register_agent(me(), reviewer).await.unwrap();
    world
}

/// A run with one step, and its task once somebody has judged or failed to.
async fn judged(world: &World) -> (TaskId, Arc<Task>) {
    let run = world.start(workflow(vec![step("one", &[], "'x'")]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let id = TaskId::of_step(run, &name("one"));
    world.until(|event| matches!(event, Event::Task(TaskEvent::Judged { .. } | TaskEvent::JudgingFailed { .. }))).await;
    (id, world.commands.ended_task(id).await.unwrap())
}

async fn judges_run(world: &World, task: TaskId) -> Arc<Run> {
    world.commands.executor().load::<Run>(RunId::of_judging(task).into()).await.unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_judged_after_it_has_come_and_people_outweigh_the_judge() {
    let opinions = [
        r#"{"reason": "It is sound.", "score": 7}"#,
        r#"{"reason": "It is weak.", "score": 4}"#,
        r#"{"reason": "It is great.", "score": 9}"#,
    ];
    let world = world(&opinions).await;
    // Two nodes, and yet it is judged once.
    let judges = Judges::of(&world, options(), 2).await;
    let (id, task) = judged(&world).await;
    let judgement = task.judgement().unwrap();
    let mut marks: Vec<u16> = judgement.marks.iter().map(|mark| mark.hundredths()).collect();
    marks.sort_unstable();
    assert_eq!((marks, judgement.asked, judgement.spread()), (vec![400, 700, 900], 3, 500));
    assert_eq!(judgement.median().unwrap().hundredths(), 700);
    assert_eq!(task.judge_reason(), Some("It is sound."));
    let standing = task.standing().unwrap();
    assert_eq!(standing.counting().unwrap().source, QualitySource::Judge);
    // What the judge said, and what it cost, is in tasks of a run like any other.
    let run = judges_run(&world, id).await;
    assert_eq!((run.status(), run.steps().len()), (RunStatus::Completed, 3));
    assert_eq!(run.by(), Some(&Commands::judge()));
    let rate = RateTask { task: id, mark: 2, comment: "It is wrong.".to_owned() };
    world.commands.rate_task(me(), rate).await.unwrap();
    let task = world.commands.ended_task(id).await.unwrap();
    let told: Vec<_> = task.standing().unwrap().parts().iter().map(|part| part.mark.hundredths()).collect();
    assert_eq!(told, [700, 200]);
    judges.stop().await;
    assert_eq!(world.count("task.judged").await, 1, "judges are not judged");
    assert_eq!(world.count("task.completed").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_fails_leaves_the_others() {
    let world = world(&["", r#"{"score": 6, "reason": "So"}"#, "I would rather not say."]).await;
    let judges = Judges::of(&world, options(), 1).await;
    let (_, task) = judged(&world).await;
    let judgement = task.judgement().unwrap();
    assert_eq!((judgement.marks.len(), judgement.asked), (1, 3));
    judges.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_that_brings_no_mark_is_recorded() {
    let world = world(&["good", "bad", "ugly"]).await;
    let judges = Judges::of(&world, options(), 1).await;
    let (id, task) = judged(&world).await;
    let failed = task.failed_judgement().unwrap();
    assert_eq!(failed.run, Some(RunId::of_judging(id)));
    assert!(failed.reason.contains("none of 3 samples has a mark: its answer has no mark"), "{}", failed.reason);
    judges.stop().await;

    let unknown = Options::new(vec!["nobody".parse().unwrap()]);
    let judges = Judges::of(&world, unknown, 1).await;
    let run = world.start_again(&"flow".parse().unwrap(), json!({})).await;
    let id = TaskId::of_step(run, &name("one"));
    world.until(|event| matches!(event, Event::Task(TaskEvent::JudgingFailed { run: None, .. }))).await;
    let task = world.commands.ended_task(id).await.unwrap();
    assert!(task.failed_judgement().unwrap().reason.contains("none of the agents that judge exists"));
    judges.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_that_was_away_goes_on_where_it_was() {
    let world = world(&[r#"{"score": 5, "reason": "So"}"#]).await;
    let one = Options { samples: 1, ..options() };
    let checkpoints: Arc<dyn Checkpoints> = Arc::new(MemoryCheckpoints::default());
    let work = |shutdown: CancellationToken| {
        let commands = Commands::new(Arc::clone(&world.journal));
        let service = Service::new(one.clone(), commands, Arc::clone(&checkpoints));
        tokio::spawn(async move { service.run(shutdown).await.unwrap() })
    };
    let shutdown = CancellationToken::new();
    let working = work(shutdown.clone());
    // It has begun once its template is there.
    world.until(|event| matches!(event, Event::Template(domain::TemplateEvent::Registered { body }) if body.key.as_str() == TemplateBody::JUDGEMENT)).await;
    shutdown.cancel();
    working.await.unwrap();
    let run = world.start(workflow(vec![step("one", &[], "'x'")]), json!({})).await;
    world.finished(run).await;
    assert_eq!(world.count("task.judged").await, 0);
    let shutdown = CancellationToken::new();
    let working = work(shutdown.clone());
    world.until(|event| matches!(event, Event::Task(TaskEvent::Judged { .. }))).await;
    shutdown.cancel();
    working.await.unwrap();
    assert_eq!(world.count("task.judged").await, 1);
}
