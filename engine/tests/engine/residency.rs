//! What demands a tag goes to no platform without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::agent::Profile;
use domain::run::RunStatus;
use domain::template::TemplateBody;
use domain::{AgentId, ErrorKind, Event, PlatformTag, RunId, TaskEvent};
use engine::{Options, Residency};
use providers::{Behaviour, Failure, FailureKind, Platform, Registry, Simulator};
use serde_json::json;

use crate::world::{Called, World, echo, edit, me, step, worker, workflow};

fn tags(all: &[&str]) -> BTreeSet<PlatformTag> {
    all.iter().map(|tag| tag.parse().unwrap()).collect()
}

/// A world of three platforms, of which the first has no tags, the second `eu`, and the third `eu` and `house`.
async fn world(platforms: [&Simulator; 3], residency: Residency) -> World {
    let mut world = World::without_engine().await;
    let platforms = platforms.map(|platform| Arc::new(platform.clone()) as Arc<dyn Platform>).to_vec();
    let tagged = BTreeMap::from([("b", vec!["eu"]), ("c", vec!["eu", "house"])]);
    world.start_engine_tagged(platforms, &tagged, residency);
    world
}

fn well(key: &str) -> Simulator {
    Simulator::builder().key(key).build()
}

fn down(key: &str) -> Simulator {
    let failure = Failure::new(FailureKind::PlatformFailure, "it is down");
    Simulator::builder().key(key).script(move |_, _| Behaviour::Fail(failure.clone())).build()
}

async fn run(world: &World) -> RunId {
    world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await
}

/// Where each attempt went.
async fn asked(world: &World) -> Vec<String> {
    let events = world.events().await.into_iter();
    let platform = |event: Event| match event {
        Event::Task(TaskEvent::AttemptStarted { platform, .. }) => Some(platform.to_string()),
        _ => None,
    };
    events.filter_map(platform).collect()
}

#[tokio::test]
async fn each_demand_is_kept_to() {
    let agent = || BTreeMap::from([("worker".parse().unwrap(), tags(&["house"]))]);
    let template = || BTreeMap::from([("echo".parse().unwrap(), tags(&["eu"]))]);
    let department = || BTreeMap::from([("engineering".to_owned(), tags(&["eu"]))]);
    let other = || BTreeMap::from([("elsewhere".to_owned(), tags(&["nowhere"]))]);
    let none = Residency::default();
    for (residency, expected) in [
        (none.clone(), "a"),
        (Residency { everywhere: tags(&["eu"]), ..none.clone() }, "b"),
        (Residency { agents: agent(), ..none.clone() }, "c"),
        (Residency { templates: template(), ..none.clone() }, "b"),
        (Residency { departments: department(), ..none.clone() }, "b"),
        (Residency { everywhere: tags(&["eu"]), agents: agent(), ..none.clone() }, "c"),
        (Residency { departments: other(), ..none.clone() }, "a"),
    ] {
        let world = world([&well("a"), &well("b"), &well("c")], residency.clone()).await;
        let run = run(&world).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        assert_eq!(asked(&world).await, [expected], "{residency:?}");
    }
}

#[tokio::test]
async fn nobody_without_the_tag_stands_in() {
    let (a, b, c) = (well("a"), down("b"), well("c"));
    let world = world([&a, &b, &c], Residency { everywhere: tags(&["eu"]), ..Residency::default() }).await;
    let run = run(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(asked(&world).await, ["b", "c"]);
    assert_eq!(a.calls(), 0);
}

#[tokio::test]
async fn where_nobody_has_the_tag_nothing_is_sent() {
    let platforms = [well("a"), well("b"), well("c")];
    let [a, b, c] = &platforms;
    let world = world([a, b, c], Residency { everywhere: tags(&["moon"]), ..Residency::default() }).await;
    let run = run(&world).await;
    let run = world.finished(run).await;
    let error = run.error().unwrap();
    assert_eq!((run.status(), error.kind), (RunStatus::Failed, ErrorKind::TagMissing));
    assert!(error.message.contains("c/simulated: it is not tagged `moon`"), "{}", error.message);
    assert_eq!(platforms.iter().map(Simulator::calls).sum::<u64>(), 0);

    // One that has it, but rests for ever or fails for good, does not make the others fit.
    let all_down = [down("a"), down("b"), down("c")];
    let [a, b, c] = &all_down;
    let world = self::world([a, b, c], Residency { everywhere: tags(&["house"]), ..Residency::default() }).await;
    let run = self::run(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
    assert!(asked(&world).await.iter().all(|platform| platform == "c"));
    assert_eq!(a.calls() + b.calls(), 0);
}

#[tokio::test]
async fn the_tags_of_a_model_hold_instead_of_its_platforms() {
    let platforms = [well("a"), well("b"), well("c")].map(|one| Arc::new(one) as Arc<dyn Platform>).to_vec();
    let names = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let of_platforms = BTreeMap::from([("a".to_owned(), names(&["eu"])), ("b".to_owned(), names(&["eu"]))]);
    // The model of every simulator; of one it takes a tag, to another it gives it.
    let of_models = |tags: &[&str]| BTreeMap::from([("simulated".to_owned(), names(tags))]);
    let own = BTreeMap::from([("a".to_owned(), of_models(&["us"])), ("c".to_owned(), of_models(&["house", "eu"]))]);
    let registry = Registry::new(platforms, &[]).unwrap().tagged(of_platforms).with_model_tags(own);
    for (demanded, expected) in [(["eu"], "b"), (["us"], "a"), (["house"], "c")] {
        let mut world = World::without_engine().await;
        let residency = Residency { everywhere: tags(&demanded), ..Residency::default() };
        world.start_engine_watched(registry.clone(), Options { residency, ..Options::default() });
        let run = run(&world).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        assert_eq!(asked(&world).await, [expected], "{demanded:?}");
    }
}

/// What a worker and a template say of themselves.
async fn say(world: &World, agent: &[&str], template: &[&str]) {
    world.commands.register_agent(me(), Profile { residency: tags(agent), ..worker() }).await.unwrap();
    world.commands.register_template(me(), TemplateBody { residency: tags(template), ..echo() }).await.unwrap();
}

#[tokio::test]
async fn what_agents_and_templates_say_of_themselves_is_kept_to() {
    let everywhere = |all: &[&str]| Residency { everywhere: tags(all), ..Residency::default() };
    for (agent, template, installation, expected) in [
        (&["eu"][..], &[][..], &[][..], "b"),
        (&[], &["eu"], &[], "b"),
        (&["eu"], &["house"], &[], "c"),
        (&["house"], &[], &["eu"], "c"),
        // What the installation demands nobody can take off by saying nothing.
        (&[], &[], &["eu"], "b"),
    ] {
        let world = world([&well("a"), &well("b"), &well("c")], everywhere(installation)).await;
        say(&world, agent, template).await;
        let run = run(&world).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        assert_eq!(asked(&world).await, [expected], "{agent:?} {template:?} {installation:?}");
    }
    let platforms = [well("a"), well("b"), well("c")];
    let [a, b, c] = &platforms;
    let world = world([a, b, c], Residency::default()).await;
    say(&world, &["house"], &["moon"]).await;
    let run = run(&world).await;
    let run = world.finished(run).await;
    assert_eq!((run.status(), run.error().unwrap().kind), (RunStatus::Failed, ErrorKind::TagMissing));
    assert_eq!(platforms.iter().map(Simulator::calls).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_task_keeps_the_demands_that_it_was_made_with() {
    let (a, b) = (well("a"), well("b"));
    let failure = Failure::new(FailureKind::PlatformFailure, "it is down");
    let script = move |_: &_, call| if call == 1 { Behaviour::Hang } else { Behaviour::Fail(failure.clone()) };
    let c = Simulator::builder().key("c").script(script).build();
    let mut world = World::without_engine().await;
    say(&world, &["house"], &["eu"]).await;
    let tagged = BTreeMap::from([("b", vec!["eu"]), ("c", vec!["eu", "house"])]);
    let platforms = || [&a, &b, &c].map(|one| Arc::new(one.clone()) as Arc<dyn Platform>).to_vec();
    world.start_engine_tagged(platforms(), &tagged, Residency::default());
    let first = run(&world).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    let explained = world.commands.explain(first).await.unwrap();
    assert_eq!(explained.steps[0].residency, tags(&["eu", "house"]));

    // The process dies, and the catalogue forgets its demands before another takes the run over.
    world.kill_engine().await;
    say(&world, &[], &[]).await;
    world.start_engine_tagged(platforms(), &tagged, Residency::default());
    assert_eq!(world.finished(first).await.status(), RunStatus::Failed);
    assert!(asked(&world).await.iter().all(|platform| platform == "c"), "{:?}", asked(&world).await);
    let second = world.start(workflow(vec![step("a", &[], "'x'")]).called("again"), json!({})).await;
    assert_eq!(world.finished(second).await.status(), RunStatus::Completed);
    assert_eq!((asked(&world).await.pop().as_deref(), b.calls()), (Some("a"), 0));
}

#[tokio::test]
async fn who_cannot_be_sent_a_template_is_not_chosen_for_it() {
    for (template, expected) in [(&[][..], "alpha"), (&["house"], "worker")] {
        let world = world([&well("a"), &well("b"), &well("c")], Residency::default()).await;
        let alpha = Profile { key: "alpha".parse().unwrap(), platform: Some("a".parse().unwrap()), ..worker() };
        world.commands.register_agent(me(), alpha).await.unwrap();
        say(&world, &[], template).await;
        let mut open = step("a", &[], "'x'");
        edit(&mut open, |task| task.agent = "auto".parse().unwrap());
        let run = world.start(workflow(vec![open]), json!({})).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        let events = world.events().await;
        let assigned = events.iter().find_map(|event| match event {
            Event::Task(TaskEvent::Assigned { agent, .. }) => Some(*agent),
            _ => None,
        });
        assert_eq!(assigned, Some(AgentId::from_key(&expected.parse().unwrap())), "{template:?}");
    }
}
