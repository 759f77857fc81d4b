//! Kept answers: the same request is answered again without a call, only where it may be, and it is said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::{Branch, Changes};
use domain::budget::BudgetScope;
use domain::run::RunStatus;
use domain::task::Kept;
use domain::{Event, NanoUsd, Reply, RunId, TaskEvent};
use engine::{Cache, CacheMode, CachePolicy};
use providers::{Behaviour, Failure, FailureKind, Platform, Simulator};
use serde_json::json;

use crate::budgets::{COST, budget, dear};
use crate::world::{Called, World, me, step, workflow};

const HOUR: Duration = Duration::from_secs(3600);

fn keeping(mode: CacheMode, max_age: Duration) -> Cache {
    Cache { usual: CachePolicy { mode, max_age }, ..Cache::default() }
}

async fn world(platform: Arc<dyn Platform>, cache: Cache) -> World {
    let mut world = World::without_engine().await;
    world.offer(workflow(vec![step("a", &[], "input.text")])).await;
    world.start_engine_keeping(vec![platform], cache);
    world
}

async fn ask(world: &World, key: &str, text: &str) {
    let run = world.start_again(&key.parse().unwrap(), json!({ "text": text })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
}

/// Of every attempt so far, whether a kept answer served, and the answer.
async fn attempts(world: &World) -> Vec<(Option<Kept>, Reply)> {
    let (mut kept, mut answers) = (Vec::new(), Vec::new());
    for event in world.events().await {
        match event {
            Event::Task(TaskEvent::AttemptStarted { kept: served, .. }) => kept.push(served),
            Event::Task(TaskEvent::AttemptSucceeded { reply, .. }) => answers.push(*reply),
            _ => {}
        }
    }
    assert_eq!(kept.len(), answers.len());
    kept.into_iter().zip(answers).collect()
}

#[tokio::test]
async fn the_same_request_is_answered_again_and_it_is_said() {
    let platform = Simulator::default();
    let world = world(Arc::new(platform.clone()), keeping(CacheMode::On, HOUR)).await;
    for text in ["one", "one", "two"] {
        ask(&world, "flow", text).await;
    }
    assert_eq!(platform.calls(), 2);
    let all = attempts(&world).await;
    let [(None, first), (Some(kept), again), (None, other)] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&first.text, first.simulated), (&again.text, again.simulated));
    assert_ne!(first.text, other.text);
    // It has used nothing and saved what the first had used.
    assert_eq!((again.usage.input_tokens, again.usage.output_tokens, again.cost), (Some(0), Some(0), Some(NanoUsd(0))));
    assert_eq!((kept.usage, kept.cost), (first.usage, first.cost));
}

#[tokio::test]
async fn another_department_does_not_get_it() {
    let platform = Simulator::default();
    let world = world(Arc::new(platform.clone()), keeping(CacheMode::On, HOUR)).await;
    let mut other = workflow(vec![step("a", &[], "input.text")]).called("other");
    other.department = "legal".to_owned();
    world.offer(other).await;
    world.offer(workflow(vec![step("b", &[], "input.text")]).called("same")).await;
    ask(&world, "flow", "one").await;
    ask(&world, "other", "one").await;
    assert_eq!(platform.calls(), 2);
    ask(&world, "same", "one").await;
    assert_eq!(platform.calls(), 2, "another workflow of the same department gets it");
}

#[tokio::test]
async fn modes_and_ages_are_kept_to() {
    for (mode, max_age, calls) in [
        (CacheMode::Off, HOUR, 2),
        (CacheMode::WriteOnly, HOUR, 2),
        (CacheMode::ReadOnly, HOUR, 2),
        (CacheMode::On, Duration::ZERO, 2),
    ] {
        let platform = Simulator::default();
        let world = world(Arc::new(platform.clone()), keeping(mode, max_age)).await;
        ask(&world, "flow", "one").await;
        ask(&world, "flow", "one").await;
        assert_eq!(platform.calls(), calls, "{mode:?} {max_age:?}");
    }
    // What one keeps another may read; and an agent may have its own.
    let (platform, cache) = (Simulator::default(), keeping(CacheMode::WriteOnly, HOUR));
    let mut world = world(Arc::new(platform.clone()), cache.clone()).await;
    ask(&world, "flow", "one").await;
    world.stop_engine().await;
    let reads = CachePolicy { mode: CacheMode::ReadOnly, max_age: HOUR };
    let agents = BTreeMap::from([("worker".parse().unwrap(), reads)]);
    world.start_engine_keeping(vec![Arc::new(platform.clone())], Cache { agents, ..cache });
    ask(&world, "flow", "one").await;
    assert_eq!(platform.calls(), 1);
}

#[tokio::test]
async fn what_was_not_answered_whole_is_not_kept() {
    let refuses = |_: &providers::Request, call: u32| match call {
        1 => Behaviour::Fail(Failure::new(FailureKind::ContentRefused, "no")),
        _ => Behaviour::Answer,
    };
    let platform = Simulator::builder().script(refuses).build();
    let world = world(Arc::new(platform.clone()), keeping(CacheMode::On, HOUR)).await;
    let run = world.start_again(&"flow".parse().unwrap(), json!({ "text": "one" })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
    ask(&world, "flow", "one").await;
    assert_eq!(platform.calls(), 2);
}

#[tokio::test]
async fn a_kept_answer_spends_nothing() {
    let platform = Simulator::default();
    let mut world = World::without_engine().await;
    // A second call would not fit any more.
    world.commands.set_budget(me(), budget("all", BudgetScope::Organisation, 100)).await.unwrap();
    world.offer(workflow(vec![step("a", &[], "input.text")])).await;
    world.start_engine_keeping(vec![dear(platform.clone())], keeping(CacheMode::On, HOUR));
    for _ in 0..3 {
        ask(&world, "flow", "one").await;
    }
    let purse = world.commands.budget(&"all".parse().unwrap(), None).await.unwrap().purse.unwrap();
    assert_eq!((purse.reserved, purse.spent, platform.calls()), (0, COST, 1));
    let saved: Vec<_> = attempts(&world).await.into_iter().filter_map(|(kept, _)| kept?.cost).collect();
    assert_eq!(saved, [NanoUsd(i64::try_from(COST).unwrap()); 2]);
}

#[tokio::test]
async fn a_fork_is_given_what_the_original_has_recorded() {
    for forks in [true, false] {
        let platform = Simulator::default();
        let mut world = World::without_engine().await;
        let steps =
            vec![step("a", &[], "input.text"), step("b", &["a"], "input.word"), step("c", &["b"], "steps.b.text")];
        world.offer(workflow(steps)).await;
        world.start_engine_keeping(vec![dear(platform.clone())], Cache { forks, ..Cache::default() });
        let first = world.start_again(&"flow".parse().unwrap(), json!({ "text": "one", "word": "x" })).await;
        assert_eq!(world.finished(first).await.status(), RunStatus::Completed);
        assert_eq!(platform.calls(), 3);
        // Only what follows from another word is asked for.
        let fork = async |from: RunId, word: &str| {
            let changes = Changes { input: Some(json!({ "text": "one", "word": word })), ..Changes::default() };
            let fork = world.commands.branch_run(me(), from, Branch::Fork { revision: 0 }, changes).await.unwrap().run;
            assert_eq!(world.finished(fork).await.status(), RunStatus::Completed);
            fork
        };
        let second = fork(first, "y").await;
        assert_eq!(platform.calls(), if forks { 3 + 2 } else { 3 + 3 });
        // Nothing is asked for by a fork of the fork that changes nothing, nor do the savings get lost.
        fork(second, "y").await;
        assert_eq!(platform.calls(), if forks { 3 + 2 } else { 3 + 6 });
        let kept: Vec<Option<NanoUsd>> =
            attempts(&world).await.iter().filter_map(|(kept, _)| Some((*kept)?.cost)).collect();
        let saved = NanoUsd(i64::try_from(COST).unwrap());
        assert_eq!(kept, vec![Some(saved); if forks { 1 + 3 } else { 0 }]);
        // Who runs it again wants another answer.
        let rerun = Branch::Rerun { from: vec!["a".parse().unwrap()] };
        let calls = platform.calls();
        let again = world.commands.branch_run(me(), first, rerun, Changes::default()).await.unwrap().run;
        assert_eq!(world.finished(again).await.status(), RunStatus::Completed);
        assert_eq!(platform.calls(), calls + 3);
    }
}
