//! Agents that the engine chooses itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::agent::Profile;
use domain::run::RunStatus;
use domain::task::{AgentChoice, AgentExclusion, AgentReason};
use domain::template::TemplateBody;
use domain::workflow::{Assignee, ForEach, Work};
use domain::{AgentId, Capability, Definition, Event, Key, Step, TaskEvent, Timestamp};
use engine::{Handle, Options};
use journal::Position;
use providers::router::BreakerOptions;
use providers::{Behaviour, Failure, FailureKind, Simulator};
use serde_json::json;

use crate::world::{Called, World, edit, me, step, task, worker, workflow, working};

/// A step of a legal nature for which nobody is named.
fn open(name: &str) -> Step {
    let mut step = step(name, &[], "'x'");
    edit(&mut step, |task| {
        task.agent = Assignee::Auto;
        task.template = "opinion".parse().unwrap();
    });
    step
}

fn agent(key: &str, capabilities: &[Capability]) -> Profile {
    Profile { key: key.parse().unwrap(), capabilities: capabilities.to_vec(), ..worker() }
}

/// A world with these agents beside the worker, who is a specialist in nothing.
async fn with(agents: &[(&str, &[Capability])]) -> World {
    let world = World::without_engine().await;
    let parameters = json!({
        "type": "object",
        "properties": { "text": { "type": "string" }, "answer_language": { "type": "string" } },
        "required": ["text"],
    });
    let body = TemplateBody {
        capability: Some(Capability::Legal),
        ..TemplateBody::new("opinion".parse().unwrap(), "Opinion", parameters, "Judge: {{ text }}")
    };
    world.commands.register_template(me(), body).await.unwrap();
    for (key, capabilities) in agents {
        world.commands.register_agent(me(), agent(key, capabilities)).await.unwrap();
    }
    world
}

const LAW: &[Capability] = &[Capability::Legal];
const MONEY: &[Capability] = &[Capability::Finance];

/// Who was given each task, and how it was chosen.
async fn assigned(world: &World) -> Vec<(AgentId, String, Option<AgentChoice>)> {
    let assigned = |event: Event| match event {
        Event::Task(TaskEvent::Assigned { agent, reason, choice, .. }) => {
            Some((agent, reason, choice.map(|choice| *choice)))
        }
        _ => None,
    };
    world.events().await.into_iter().filter_map(assigned).collect()
}

fn id(key: &str) -> AgentId {
    AgentId::from_key(&key.parse::<Key>().unwrap())
}

async fn completed(world: &World, definition: Definition) {
    let run = world.start(definition, json!({})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Completed, "{:?}", run.error());
}

#[tokio::test]
async fn the_specialist_is_chosen_and_the_choice_is_recorded_with_everything_it_was_made_from() {
    let mut world = with(&[("accountant", MONEY), ("lawyer", LAW)]).await;
    world.start_together(vec![std::sync::Arc::new(Simulator::builder().build())], BreakerOptions::default()).await;
    completed(&world, workflow(vec![open("a")])).await;
    let assigned = assigned(&world).await;
    let Some((agent, reason, Some(choice))) = assigned.last() else { panic!("a choice in {assigned:?}") };
    assert_eq!(*agent, id("lawyer"));
    assert_eq!(reason, "chosen: the best score, 0.80, of 1 agents that can do legal");
    assert_eq!((choice.reason, choice.capability), (AgentReason::Best, Some(Capability::Legal)));
    assert!((choice.minimum.as_f64() - 0.6).abs() < 1e-9);
    let keys: Vec<&str> = choice.considered.iter().map(|considered| considered.agent.as_str()).collect();
    assert_eq!(keys, ["lawyer", "accountant", "worker"]);
    let excluded: Vec<_> = choice.considered.iter().map(|considered| considered.excluded).collect();
    assert_eq!(excluded, [None, Some(AgentExclusion::Incapable), Some(AgentExclusion::Incapable)]);
    assert!((choice.considered[0].factors.capability.as_f64() - 1.0).abs() < 1e-9);
    // The choice costs no append of its own: it stands between what begins the step and what calls the platform.
    let names = world.names().await;
    let at = names.iter().rposition(|name| name == "task.assigned").unwrap();
    assert_eq!(names[at - 1], "task.created");
    assert_eq!(names[at + 1], "task.attempt_started");
}

#[tokio::test]
async fn a_step_that_names_its_agent_says_nothing_of_a_choice() {
    let world = World::with(Simulator::builder().build()).await;
    completed(&world, workflow(vec![step("a", &[], "'x'")])).await;
    assert_eq!(assigned(&world).await, [(id("worker"), "named by the workflow".to_owned(), None)]);
}

#[tokio::test]
async fn nobody_is_chosen_who_was_switched_off_and_the_general_purpose_agent_stands_in() {
    let mut world = with(&[("lawyer", LAW)]).await;
    world.commands.disable_agent(me(), &"lawyer".parse().unwrap(), "on leave".to_owned()).await.unwrap();
    world.start_engine(std::sync::Arc::new(Simulator::builder().build()));
    completed(&world, workflow(vec![open("a")])).await;
    let given = assigned(&world).await;
    let [(agent, _, Some(choice))] = &given[..] else { panic!("one choice of {given:?}") };
    assert_eq!((*agent, choice.reason), (id("worker"), AgentReason::NoSpecialist));
    world.commands.enable_agent(me(), &"lawyer".parse().unwrap()).await.unwrap();
    completed(&world, workflow(vec![open("a")]).called("again")).await;
    assert_eq!(assigned(&world).await[1].0, id("lawyer"), "what happens later is followed");
}

#[tokio::test]
async fn a_task_that_nobody_can_do_fails_and_says_why() {
    let mut world = with(&[]).await;
    world.commands.disable_agent(me(), &"worker".parse().unwrap(), "gone".to_owned()).await.unwrap();
    world.start_engine(std::sync::Arc::new(Simulator::builder().build()));
    let run = world.start(workflow(vec![open("a")]), json!({})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    let message = &run.error().unwrap().message;
    assert!(message.contains("no agent can do it: `worker` is switched off"), "{message}");
}

#[tokio::test]
async fn a_hundred_and_twenty_tasks_at_once_are_spread_among_equals() {
    let mut world = with(&[("one", LAW), ("two", LAW), ("three", LAW)]).await;
    world.start_engine(std::sync::Arc::new(Simulator::builder().build()));
    let each =
        domain::workflow::TaskWork { agent: Assignee::Auto, template: "opinion".parse().unwrap(), ..task("item") };
    let over = "input.all".parse().unwrap();
    let all = working("all", &[], Work::ForEach(ForEach { over, max_parallel: 120, each }));
    let items: Vec<String> = (0..120).map(|number| number.to_string()).collect();
    let run = world.start(workflow(vec![all]), json!({ "all": items })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let mut given: BTreeMap<AgentId, u32> = BTreeMap::new();
    for (agent, ..) in assigned(&world).await {
        *given.entry(agent).or_default() += 1;
    }
    let counts: Vec<u32> = given.values().copied().collect();
    assert_eq!(counts, [40, 40, 40]);
}

#[tokio::test]
async fn whoever_cannot_be_reached_or_fails_again_and_again_is_passed_over() {
    let gone = Failure::new(FailureKind::Unreachable, "no route");
    let down = Simulator::builder().key("south").script(move |_, _| Behaviour::Fail(gone.clone())).build();
    let well = Simulator::builder().key("north").build();
    let mut world = with(&[]).await;
    for (key, platform) in [("alpha", "south"), ("beta", "north")] {
        let profile = Profile { platform: Some(platform.parse().unwrap()), ..agent(key, LAW) };
        world.commands.register_agent(me(), profile).await.unwrap();
    }
    let breakers = BreakerOptions { threshold: 2, pause: Duration::from_secs(600), ..BreakerOptions::default() };
    world.start_engine_with(&[&down, &well], breakers);
    // Of two equals the first by key comes first, and its platform fails until it rests.
    world.start(workflow(vec![open("a")]), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptFailed { .. }))).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::Postponed { .. } | TaskEvent::Failed { .. }))).await;
    completed(&world, workflow(vec![open("a")]).called("again")).await;
    let assigned = assigned(&world).await;
    assert_eq!((assigned[0].0, assigned[1].0), (id("alpha"), id("beta")));
    let choice = assigned[1].2.as_ref().unwrap();
    let alpha = choice.considered.iter().find(|considered| considered.agent.as_str() == "alpha").unwrap();
    assert!((alpha.factors.availability.as_f64() - 0.3).abs() < 1e-9);
}

#[tokio::test]
async fn what_was_learnt_is_known_after_a_restart() {
    let no = Failure::new(FailureKind::ContentRefused, "no");
    let refusing = Simulator::builder().key("south").script(move |_, _| Behaviour::Fail(no.clone())).build();
    let well = Simulator::builder().key("north").build();
    let mut world = with(&[]).await;
    for (key, platform) in [("alpha", "south"), ("beta", "north")] {
        let profile = Profile { platform: Some(platform.parse().unwrap()), ..agent(key, LAW) };
        world.commands.register_agent(me(), profile).await.unwrap();
    }
    world.start_engine_with(&[&refusing, &well], BreakerOptions { threshold: 1000, ..BreakerOptions::default() });
    let named = |number: u32| {
        let mut only = open("a");
        edit(&mut only, |task| task.agent = "alpha".parse().unwrap());
        let mut definition = workflow(vec![only]);
        definition.key = format!("named.{number}").parse().unwrap();
        definition
    };
    for number in 0..3 {
        let run = world.start(named(number), json!({})).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
    }
    for _ in 0..2 {
        world.stop_engine().await;
        world.start_engine_with(&[&refusing, &well], BreakerOptions { threshold: 1000, ..BreakerOptions::default() });
    }
    completed(&world, workflow(vec![open("a")])).await;
    let last = assigned(&world).await.pop().unwrap();
    assert_eq!(last.0, id("beta"), "an agent that fails loses availability, whoever counted it");
}

#[tokio::test]
async fn an_answer_in_arabic_is_given_to_who_answers_in_arabic() {
    let mut world = with(&[]).await;
    for (key, language) in [("alpha", "en"), ("beta", "ar")] {
        let profile = Profile { languages: vec![language.to_owned()], ..agent(key, LAW) };
        world.commands.register_agent(me(), profile).await.unwrap();
    }
    world.start_engine(std::sync::Arc::new(Simulator::builder().build()));
    let mut step = open("a");
    edit(&mut step, |task| {
        task.input.insert("answer_language".parse().unwrap(), "'Arabic'".parse().unwrap());
    });
    completed(&world, workflow(vec![step])).await;
    let given = assigned(&world).await;
    let [(agent, _, Some(choice))] = &given[..] else { panic!("one choice of {given:?}") };
    assert_eq!((*agent, choice.language.as_deref()), (id("beta"), Some("ar")));
}

fn legal() -> selection::Task {
    selection::Task { needs: vec![(Capability::Legal, 1.0)], language: None, department: None }
}

/// Whom the engine chooses for a legal task.
type Chosen = (selection::Choice, Option<AgentChoice>);

/// Asks whom the engine chooses. What is long ago counts less, so all is asked of the same moment.
struct Asked {
    moment: Timestamp,
}

impl Asked {
    /// Now, once it has followed the journal to the end; and where that is.
    async fn now(&self, world: &World, handle: &Handle) -> (Position, Chosen) {
        let begun = std::time::Instant::now();
        loop {
            let head = world.journal.head().await.unwrap();
            let then = self.then(world, handle, head).await;
            let now = handle.choose_agent(&legal(), None, &BTreeSet::new(), self.moment).await.unwrap();
            if now == then && world.journal.head().await.unwrap() == head {
                return (head, now);
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{now:#?} now, and as of the end {then:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn then(&self, world: &World, handle: &Handle, position: Position) -> Chosen {
        let nobody = BTreeSet::new();
        let chosen = handle.choose_agent_as_of(&world.journal, &legal(), &nobody, position, self.moment).await;
        chosen.unwrap().expect("few events")
    }
}

#[tokio::test]
async fn who_would_have_been_chosen_is_told_as_it_was_told_then() {
    let no = Failure::new(FailureKind::ContentRefused, "no");
    let script = move |request: &providers::Request, _: u32| match format!("{request:?}") {
        asked if asked.contains("refuse") => Behaviour::Fail(no.clone()),
        asked if asked.contains("hang") => Behaviour::Hang,
        _ => Behaviour::Answer,
    };
    let mut world = with(&[("alpha", LAW), ("beta", LAW)]).await;
    let start = |world: &mut World| {
        let platform: std::sync::Arc<dyn providers::Platform> =
            std::sync::Arc::new(Simulator::builder().script(script.clone()).build());
        let registry = providers::Registry::new(vec![platform], &[]).unwrap();
        world.start_engine_watched(registry, Options { drain: Duration::ZERO, ..Options::default() })
    };
    let named = |number: u32, agent: &str, text: &str| {
        let mut only = step("a", &[], text);
        edit(&mut only, |task| {
            task.agent = agent.parse().unwrap();
            task.template = "opinion".parse().unwrap();
        });
        let mut definition = workflow(vec![only]);
        definition.key = format!("named.{number}").parse().unwrap();
        definition
    };
    let asked = Asked { moment: commands::now() };
    let mut handle = start(&mut world);
    let mut told = vec![asked.now(&world, &handle).await];
    // Alpha fails again and again.
    for number in 0..3 {
        let run = world.start(named(number, "alpha", "'refuse'"), json!({})).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
        told.push(asked.now(&world, &handle).await);
    }
    // Beta is at something.
    world.start(named(3, "beta", "'hang'"), json!({})).await;
    while world.count("task.attempt_started").await < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    told.push(asked.now(&world, &handle).await);
    // What is saved by now is ahead of all that was told before.
    world.kill_engine().await;
    handle = start(&mut world);
    told.push(asked.now(&world, &handle).await);
    world.commands.disable_agent(me(), &"beta".parse().unwrap(), "on leave".to_owned()).await.unwrap();
    told.push(asked.now(&world, &handle).await);
    world.commands.register_agent(me(), agent("gamma", LAW)).await.unwrap();
    told.push(asked.now(&world, &handle).await);
    world.commands.register_agent(me(), agent("gamma", MONEY)).await.unwrap();
    told.push(asked.now(&world, &handle).await);
    let agents: Vec<&str> = told.iter().map(|(_, (choice, _))| choice.agent.as_ref().unwrap().as_str()).collect();
    assert_eq!((agents[0], agents[3]), ("alpha", "beta"), "{agents:?}");
    assert_eq!(agents[agents.len() - 3..], ["alpha", "gamma", "alpha"], "{agents:?}");
    for (position, then) in &told {
        assert_eq!(&asked.then(&world, &handle, *position).await, then, "as of {position}");
    }
    // Before there was anybody, nobody could have been chosen.
    let (choice, recorded) = asked.then(&world, &handle, Position::START).await;
    assert_eq!((choice.agent, choice.candidates.len(), recorded), (None, 0, None));
}
