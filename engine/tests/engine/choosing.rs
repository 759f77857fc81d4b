//! Agents that the engine chooses itself.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::agent::Profile;
use domain::run::RunStatus;
use domain::task::{AgentChoice, AgentExclusion, AgentReason};
use domain::template::TemplateBody;
use domain::workflow::{Assignee, ForEach, Work};
use domain::{AgentId, Capability, Definition, Event, Key, Step, TaskEvent};
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
