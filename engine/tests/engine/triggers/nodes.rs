use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commands::{PostEvent, StartRun};
use domain::trigger::{Overlap, TriggerKind, TriggerSettings};
use domain::{NodeId, TriggerId};
use journal::Members;
use serde_json::json;
use tokio::sync::watch;

use super::stage::{Stage, hourly, key, node, of_kind};
use crate::world::me;

#[tokio::test(start_paused = true)]
async fn a_tick_fires_once_however_many_nodes_believe_it_theirs() {
    let stage = Stage::with_engine().await;
    stage.set(TriggerSettings { workflow: key("short"), ..hourly(Overlap::AllowAll) }).await;
    let kind = TriggerKind::External { name: key("ping"), when: None };
    stage.set(TriggerSettings { key: key("u"), ..of_kind(kind, Overlap::AllowAll) }).await;
    let reactors = [1, 2, 3].map(|number| stage.alone(number));
    for _ in 0..10 {
        let event = PostEvent { name: key("ping"), payload: json!({}), id: None };
        stage.commands.post_event(me(), event).await.unwrap();
    }
    stage.until_hour(48).await;
    let runs = stage.runs().await;
    let distinct: BTreeSet<&String> = runs.iter().map(|(_, cause)| cause).collect();
    assert_eq!((runs.len(), distinct.len()), (58, 58));
    let story = stage.story().await;
    assert_eq!(story.iter().filter(|line| line.contains("fired")).count(), 58);
    assert_eq!(story.iter().filter(|line| line.contains("run completed")).count(), 58);
    for reactor in reactors {
        reactor.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_acts_and_who_takes_over_has_missed_nothing() {
    let stage = Stage::with_engine().await;
    let both: BTreeSet<NodeId> = [node(1), node(2)].into();
    let (alive, _) = watch::channel(Arc::new(both.clone()));
    let id = TriggerId::from_key(&key("t"));
    let owner = Members::owner_among(&both, id.as_uuid()).unwrap();
    let (first, second) = if owner == node(1) { (1, 2) } else { (2, 1) };
    let types = vec!["run.completed".to_owned()];
    let when = Some("event.workflow == 'short'".parse().unwrap());
    stage.set(of_kind(TriggerKind::Event { types, when }, Overlap::AllowAll)).await;
    let other = stage.reactor(Stage::members(second, &alive));
    let short = || StartRun::new(key("short"), json!({}));
    stage.commands.start_run(me(), short()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.runs().await.len(), 0, "it is not the owner");
    assert_eq!(other.handle.own_triggers(), 0);
    // The owner dies before it has decided; the other one knows what is open.
    alive.send_replace(Arc::new([node(second)].into()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.runs().await.len(), 1);
    // It comes back, decides on, and nothing is decided twice.
    let back = stage.reactor(Stage::members(first, &alive));
    alive.send_replace(Arc::new(both));
    stage.commands.start_run(me(), short()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.runs().await.len(), 2);
    assert_eq!((back.handle.own_triggers(), other.handle.own_triggers()), (1, 0));
    assert!(back.handle.is_following());
}
