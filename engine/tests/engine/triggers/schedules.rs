use std::time::Duration;

use commands::{Backfill, Request};
use domain::run::RunStatus;
use domain::trigger::{Overlap, Schedule, TriggerKind, TriggerSettings};
use domain::{Actor, ActorKind, CommandId, TriggerId};
use serde_json::json;

use super::stage::{HOUR, Stage, every, hourly, key, moment};
use crate::world::me;

/// What becomes of ticks at each hour while a run takes 90 minutes.
async fn five_hours(overlap: Overlap) -> Vec<String> {
    let stage = Stage::with_engine().await;
    stage.set(hourly(overlap)).await;
    let reactor = stage.alone(1);
    stage.until_hour(4).await;
    reactor.stop().await;
    stage.story().await
}

#[tokio::test(start_paused = true)]
async fn skip_starts_nothing_while_a_run_is_going() {
    assert_eq!(
        five_hours(Overlap::Skip).await,
        [
            "1:00 fired by tick",
            "2:00 skipped: overlap",
            "2:30 run completed",
            "3:00 fired by tick",
            "4:00 skipped: overlap"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn buffer_one_lets_one_wait() {
    let stage = Stage::with_engine().await;
    stage.set(TriggerSettings { kind: TriggerKind::Schedule(quarters()), ..hourly(Overlap::BufferOne) }).await;
    let reactor = stage.alone(1);
    stage.until_hour(5).await;
    reactor.stop().await;
    assert_eq!(
        stage.story().await,
        [
            "1:00 fired by tick",
            "1:15 buffered",
            "1:30 skipped: overlap",
            "1:45 skipped: overlap",
            "2:30 run completed",
            "2:30 fired by tick",
            "4:00 run completed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn buffer_all_lets_all_wait() {
    let stage = Stage::with_engine().await;
    stage.set(TriggerSettings { kind: TriggerKind::Schedule(quarters()), ..hourly(Overlap::BufferAll) }).await;
    let reactor = stage.alone(1);
    stage.until_hour(6).await;
    assert_eq!(
        stage.story().await,
        [
            "1:00 fired by tick",
            "1:15 buffered",
            "1:30 buffered",
            "1:45 buffered",
            "2:30 run completed",
            "2:30 fired by tick",
            "4:00 run completed",
            "4:00 fired by tick",
            "5:30 run completed",
            "5:30 fired by tick"
        ]
    );
    assert_eq!(reactor.handle.own_triggers(), 1);
    assert_eq!(reactor.handle.next_firing(), Some(moment("25")));
}

fn quarters() -> Schedule {
    Schedule::new("*/15 1 * * *".parse().unwrap(), "UTC".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn cancel_other_waits_until_the_others_have_ended() {
    assert_eq!(
        five_hours(Overlap::CancelOther).await,
        [
            "1:00 fired by tick",
            "2:00 buffered",
            "2:00 run cancelled",
            "2:00 fired by tick",
            "3:00 buffered",
            "3:00 run cancelled",
            "3:00 fired by tick",
            "4:00 buffered",
            "4:00 run cancelled",
            "4:00 fired by tick"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn terminate_other_starts_at_once() {
    let story = five_hours(Overlap::TerminateOther).await;
    assert_eq!(
        story[..4],
        ["1:00 fired by tick", "2:00 fired by tick, ending 1", "2:00 run cancelled", "3:00 fired by tick, ending 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn allow_all_runs_beside_each_other() {
    let story = five_hours(Overlap::AllowAll).await;
    assert_eq!(
        story,
        [
            "1:00 fired by tick",
            "2:00 fired by tick",
            "2:30 run completed",
            "3:00 fired by tick",
            "3:30 run completed",
            "4:00 fired by tick"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_run_says_who_started_it_and_reads_the_tick() {
    let stage = Stage::new().await;
    let input = [
        ("day".parse().unwrap(), "trigger.tick.date".parse().unwrap()),
        ("at".parse().unwrap(), "trigger.tick.local".parse().unwrap()),
        ("late".parse().unwrap(), "trigger.payload".parse().unwrap()),
    ];
    let berlin = every("0 * * * *", "Europe/Berlin", Overlap::Skip);
    stage.set(TriggerSettings { input: input.into(), priority: 7, ..berlin }).await;
    let reactor = stage.alone(1);
    stage.until_hour(1).await;
    reactor.stop().await;
    let [(run, cause)] = &stage.runs().await[..] else { panic!("one run") };
    assert_eq!(cause, "2026-01-01T01:00:00Z");
    let run = stage.run(*run).await;
    assert_eq!(**run.input(), json!({"day": "2026-01-01", "at": "2026-01-01T02:00:00+01:00"}));
    assert_eq!(run.by(), Some(&Actor { kind: ActorKind::Schedule, id: "t".to_owned() }));
    assert_eq!(run.priority(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_fires_within_the_window_only() {
    let stage = Stage::new().await;
    stage.set(hourly(Overlap::AllowAll)).await;
    let reactor = stage.alone(1);
    stage.until_hour(1).await;
    reactor.stop().await;
    stage.until_hour(9).await;
    let reactor = stage.alone(2);
    stage.until_hour(10).await;
    reactor.stop().await;
    assert_eq!(
        stage.story().await,
        ["1:00 fired by tick", "9:00 missed 7", "9:00 fired by tick", "10:00 fired by tick"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_death_between_tick_and_firing_loses_nothing() {
    let stage = Stage::new().await;
    stage.set(hourly(Overlap::AllowAll)).await;
    let reactor = stage.alone(1);
    tokio::time::sleep(HOUR - Duration::from_millis(1)).await;
    reactor.kill().await;
    tokio::time::sleep(Duration::from_secs(1801)).await;
    let reactor = stage.alone(2);
    stage.until_hour(2).await;
    reactor.kill().await;
    assert_eq!(stage.story().await, ["1:30 fired by tick", "2:00 fired by tick"]);
    // A third one, started with nothing saved, knows the same.
    let third = stage.alone(3);
    stage.until_hour(3).await;
    assert_eq!(third.handle.next_firing(), Some(moment("4")));
    assert_eq!(stage.runs().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn it_pauses_after_failures_and_starts_anew_when_resumed() {
    let stage = Stage::with_engine().await;
    let broken = TriggerSettings { workflow: key("broken"), pause_after: Some(2), ..hourly(Overlap::Skip) };
    stage.set(broken).await;
    let reactor = stage.alone(1);
    stage.until_hour(5).await;
    assert_eq!(
        stage.story().await,
        [
            "1:00 fired by tick",
            "1:00 run failed",
            "2:00 fired by tick",
            "2:00 run failed",
            "2:00 paused by system:triggers"
        ]
    );
    assert_eq!(reactor.handle.next_firing(), None);
    stage.commands.resume_trigger(me(), &key("t")).await.unwrap();
    stage.until_hour(6).await;
    assert_eq!(stage.story().await[5..], ["6:00 fired by tick", "6:00 run failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_start_is_recorded() {
    let stage = Stage::new().await;
    let input = [("x".parse().unwrap(), "length(trigger.payload)".parse().unwrap())];
    let wrong = TriggerSettings { input: input.into(), pause_after: Some(2), ..hourly(Overlap::Skip) };
    stage.set(wrong).await;
    let reactor = stage.alone(1);
    stage.until_hour(3).await;
    reactor.stop().await;
    assert_eq!(
        stage.story().await,
        ["1:00 skipped: cannot_start", "2:00 skipped: cannot_start", "2:00 paused by system:triggers"]
    );
    let refused = stage.commands.run_trigger_now(me(), &key("t")).await.unwrap_err();
    assert_eq!(refused.code(), "TRIGGER_INPUT_FAILED");
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_runs_at_once_and_once_for_each_wish() {
    let stage = Stage::new().await;
    stage.set(hourly(Overlap::Skip)).await;
    stage.commands.pause_trigger(me(), &key("t"), "holiday".to_owned()).await.unwrap();
    let wish = Request { command: Some(CommandId::from_uuid(uuid::Uuid::from_u128(5))), ..me() };
    let first = stage.commands.run_trigger_now(wish.clone(), &key("t")).await.unwrap();
    let again = stage.commands.run_trigger_now(wish, &key("t")).await.unwrap();
    assert_eq!((first.run, true), (again.run, again.outcome.repeated));
    assert_eq!(stage.run(first.run).await.by(), Some(&Actor::person("tester")));
    stage.commands.run_trigger_now(me(), &key("t")).await.unwrap();
    assert_eq!(stage.runs().await.len(), 2);
    assert_eq!(stage.trigger().await.running().len(), 2);
    let missing = stage.commands.run_trigger_now(me(), &key("nobody")).await.unwrap_err();
    assert_eq!(missing.code(), "TRIGGER_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn a_past_range_is_made_up_for_once() {
    let stage = Stage::with_engine().await;
    stage.until_hour(10).await;
    stage.set(TriggerSettings { workflow: key("short"), ..hourly(Overlap::Skip) }).await;
    let range = |overlap| Backfill { from: moment("3"), until: moment("6"), overlap };
    let done = stage.commands.backfill_trigger(me(), &key("t"), range(Overlap::BufferAll)).await.unwrap();
    assert_eq!(done.started.iter().map(|(tick, _)| *tick).collect::<Vec<_>>(), [moment("3")]);
    assert_eq!(done.waiting, [moment("4"), moment("5"), moment("6")]);
    let reactor = stage.alone(1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    reactor.stop().await;
    let runs = stage.runs().await;
    assert_eq!(runs.iter().map(|(_, cause)| &cause[11..13]).collect::<Vec<_>>(), ["03", "04", "05", "06"]);
    for (run, _) in &runs {
        assert_eq!(stage.run(*run).await.status(), RunStatus::Completed);
    }
    assert!(stage.story().await.iter().filter(|line| line.contains("fired")).all(|line| line.contains("backfill")));
    let again = stage.commands.backfill_trigger(me(), &key("t"), range(Overlap::AllowAll)).await.unwrap();
    assert_eq!((again.started.len(), again.known.len()), (0, 4));
    for (from, until) in [("3", "99"), ("6", "3")] {
        let range = Backfill { from: moment(from), until: moment(until), overlap: Overlap::Skip };
        let refused = stage.commands.backfill_trigger(me(), &key("t"), range).await.unwrap_err();
        assert_eq!(refused.code(), "BACKFILL_INVALID");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backfill_is_known_by_its_id_and_goes_on_where_it_was_interrupted() {
    let stage = Stage::new().await;
    stage.set(hourly(Overlap::AllowAll)).await;
    stage.until_hour(10).await;
    let wish = |id: u128, asked: &str| {
        let command = Some(CommandId::from_uuid(uuid::Uuid::from_u128(id)));
        Request { command, ..me() }.asking(&[asked.as_bytes()])
    };
    let range = |until| Backfill { from: moment("3"), until: moment(until), overlap: Overlap::Skip };
    let go = async |request, until| stage.commands.backfill_trigger(request, &key("t"), range(until)).await;
    // As if the same wish had ended after its second tick; what others made up for meanwhile is known.
    let begun = go(wish(1, "a"), "4").await.unwrap();
    assert_eq!((begun.started.len(), &begun.skipped[..], begun.repeated), (1, &[moment("4")][..], false));
    let five = Backfill { from: moment("5"), until: moment("5"), overlap: Overlap::AllowAll };
    stage.commands.backfill_trigger(me(), &key("t"), five).await.unwrap();
    let whole = go(wish(1, "a"), "6").await.unwrap();
    assert_eq!((&whole.started, &whole.skipped[..]), (&begun.started, &[moment("4"), moment("6")][..]));
    assert_eq!((&whole.known[..], whole.repeated), (&[moment("5")][..], false));
    // Whatever becomes of the trigger, the same wish has the same answer, and nothing is recorded.
    let changed = Schedule::new("30 * * * *".parse().unwrap(), "UTC".parse().unwrap());
    stage.set(TriggerSettings { kind: TriggerKind::Schedule(changed), ..hourly(Overlap::AllowAll) }).await;
    stage.commands.remove_trigger(me(), &key("t"), String::new()).await.unwrap();
    let head = stage.commands.executor().journal().head().await.unwrap();
    let again = go(wish(1, "a"), "6").await.unwrap();
    assert_eq!(again, commands::Backfilled { repeated: true, ..whole });
    for other in [wish(1, "b"), Request { command: wish(1, "a").command, ..me() }] {
        assert_eq!(go(other, "6").await.unwrap_err().code(), "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(go(wish(2, "a"), "6").await.unwrap_err().code(), "TRIGGER_NOT_FOUND");
    assert_eq!(stage.commands.executor().journal().head().await.unwrap(), head);
}

#[tokio::test(start_paused = true)]
async fn the_same_backfill_asked_for_twice_at_once_is_one() {
    let stage = Stage::new().await;
    stage.set(hourly(Overlap::AllowAll)).await;
    stage.until_hour(10).await;
    let wish = Request { command: Some(CommandId::from_uuid(uuid::Uuid::from_u128(1))), ..me() };
    let range = Backfill { from: moment("3"), until: moment("6"), overlap: Overlap::AllowAll };
    let ask = async || stage.commands.backfill_trigger(wish.clone(), &key("t"), range.clone()).await;
    let (one, other) = tokio::join!(ask(), ask());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((&one.started, one.started.len()), (&other.started, 4));
    assert_eq!(stage.runs().await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_was_made_up_for_does_not_fire_again() {
    let stage = Stage::new().await;
    stage.set(hourly(Overlap::AllowAll)).await;
    stage.until_hour(1).await;
    let range = Backfill { from: moment("1"), until: moment("1"), overlap: Overlap::AllowAll };
    stage.commands.backfill_trigger(me(), &key("t"), range).await.unwrap();
    let reactor = stage.alone(1);
    stage.until_hour(2).await;
    reactor.stop().await;
    assert_eq!(stage.story().await, ["1:00 fired by backfill", "1:00 skipped: already_started", "2:00 fired by tick"]);
    assert_eq!(stage.runs().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn jitter_makes_a_tick_late_as_the_preview_says() {
    let stage = Stage::new().await;
    let schedule = Schedule { jitter: HOUR, ..Schedule::new("0 * * * *".parse().unwrap(), "UTC".parse().unwrap()) };
    stage.set(TriggerSettings { kind: TriggerKind::Schedule(schedule), ..hourly(Overlap::AllowAll) }).await;
    let preview = stage.commands.next_firings(&key("t"), 10).await.unwrap();
    assert_eq!(preview.len(), 10);
    assert!(preview.iter().any(|(tick, at)| at.since(*tick) > Duration::from_secs(60)));
    let reactor = stage.alone(1);
    stage.until_hour(11).await;
    reactor.stop().await;
    let story = stage.story().await;
    for ((_, at), line) in preview.iter().zip(&story) {
        let minutes = at.since(moment("0")).as_secs() / 60;
        assert_eq!(*line, format!("{}:{:02} fired by tick", minutes / 60, minutes % 60));
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_that_change_neither_lose_nor_double_a_daily_run() {
    let stage = Stage::new().await;
    stage.set(every("30 2 * * *", "Europe/Berlin", Overlap::AllowAll)).await;
    let reactor = stage.alone(1);
    // Up to the first of December.
    stage.until_hour(334 * 24).await;
    reactor.stop().await;
    let runs = stage.runs().await;
    assert_eq!(runs.len(), 334);
    let on = |day: &'static str| {
        let of_day = runs.iter().filter(move |(_, cause)| cause.starts_with(day));
        of_day.map(|(_, cause)| cause.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(on("2026-03-28"), ["2026-03-28T01:30:00Z"]);
    assert_eq!(on("2026-03-29"), ["2026-03-29T01:00:00Z"], "right after the gap");
    assert_eq!(on("2026-03-30"), ["2026-03-30T00:30:00Z"]);
    assert_eq!(on("2026-10-25"), ["2026-10-25T00:30:00Z"], "the first of the two");
    assert_eq!(on("2026-10-26"), ["2026-10-26T01:30:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_needs_a_workflow_that_can_run() {
    let stage = Stage::new().await;
    let nowhere = TriggerSettings { workflow: key("nowhere"), ..hourly(Overlap::Skip) };
    assert_eq!(stage.commands.set_trigger(me(), nowhere).await.unwrap_err().code(), "WORKFLOW_NOT_FOUND");
    let kind = TriggerKind::Event { types: vec!["run.exploded".to_owned()], when: None };
    let unknown = super::stage::of_kind(kind, Overlap::Skip);
    assert_eq!(stage.commands.set_trigger(me(), unknown).await.unwrap_err().code(), "TRIGGER_INVALID");
    assert_eq!(stage.commands.next_firings(&key("t"), 1).await.unwrap_err().code(), "TRIGGER_NOT_FOUND");
    let schedule = Schedule::new("0 * * * *".parse().unwrap(), "UTC".parse().unwrap());
    let ahead = stage.commands.preview(TriggerId::from_key(&key("t")), &schedule, 2);
    assert_eq!(ahead, [(moment("1"), moment("1")), (moment("2"), moment("2"))]);
}
