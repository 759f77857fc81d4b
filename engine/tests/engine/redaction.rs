//! What must not leave: masked on the way out, put back on the way in, told by kind and count, refused where it is forbidden.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::run::RunStatus;
use domain::task::Masked;
use domain::{ErrorKind, Event, TaskEvent};
use engine::Redaction;
use providers::redaction::{Kind, Redactor};
use providers::{Behaviour, Failure, Health, Platform, Reply, ReplyStream, Request, Simulator, Usage};
use serde_json::json;

use crate::world::{World, step, workflow};

type Seen = Arc<Mutex<Vec<Request>>>;

/// A platform that repeats what it is told, as `say` puts it, and what reached it.
fn parrot(key: &str, say: fn(&str) -> String) -> (Arc<dyn Platform>, Seen) {
    let seen = Seen::default();
    let heard = Arc::clone(&seen);
    let platform = Simulator::builder().key(key).script(move |request, _| {
        heard.lock().unwrap().push(request.clone());
        Behaviour::Say(say(&request.user))
    });
    (Arc::new(platform.build()), seen)
}

fn everything() -> Redaction {
    let redactor = Redactor::new([Kind::Email, Kind::Phone]).mask("project", "PRJ-[0-9]+").unwrap();
    Redaction { usual: Some(Arc::new(redactor)), ..Redaction::default() }
}

async fn world(platforms: Vec<Arc<dyn Platform>>, redaction: Redaction) -> World {
    let mut world = World::without_engine().await;
    world.offer(workflow(vec![step("a", &[], "input.text")])).await;
    world.start_engine_guarded(platforms, redaction);
    world
}

async fn started(world: &World) -> Vec<(String, Vec<Masked>)> {
    let events = world.events().await.into_iter();
    let started = events.filter_map(|event| match event {
        Event::Task(TaskEvent::AttemptStarted { platform, masked, .. }) => Some((platform.to_string(), masked)),
        _ => None,
    });
    started.collect()
}

async fn answer(world: &World) -> String {
    let events = world.events().await.into_iter();
    let mut answers = events.filter_map(|event| match event {
        Event::Task(TaskEvent::AttemptSucceeded { reply, .. }) => Some(reply.text),
        _ => None,
    });
    answers.next().unwrap()
}

const TEXT: &str = "Ada (ada@example.com) and Bob (bob@example.com) of PRJ-17, again ada@example.com";

#[tokio::test]
async fn what_is_masked_comes_back_and_is_counted() {
    let (platform, seen) = parrot("simulator", |user| format!("they said: {user}"));
    let world = world(vec![platform], everything()).await;
    let run = world.start_again(&"flow".parse().unwrap(), json!({ "text": TEXT })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let sent = seen.lock().unwrap()[0].user.clone();
    assert_eq!(sent, "Say: Ada ([EMAIL_1]) and Bob ([EMAIL_2]) of [PROJECT_1], again [EMAIL_1]");
    assert!(answer(&world).await.ends_with(&format!("they said: Say: {TEXT}")), "{}", answer(&world).await);
    let masked = |kind: &str, count| Masked { kind: kind.to_owned(), count };
    assert_eq!(started(&world).await, [("simulator".to_owned(), vec![masked("EMAIL", 3), masked("PROJECT", 1)])]);
}

#[tokio::test]
async fn an_answer_in_json_stays_json() {
    let redaction = Redaction { usual: Some(Arc::new(Redactor::new([Kind::Secret]))), ..Redaction::default() };
    let world = world(vec![Arc::new(Found(Simulator::default()))], redaction).await;
    let key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----";
    let run = world.start_again(&"flow".parse().unwrap(), json!({ "text": key })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let answer: serde_json::Value = serde_json::from_str(&answer(&world).await).unwrap();
    assert_eq!(answer, json!({ "found": key }));
}

/// Answers in JSON with the first placeholder that it is told.
struct Found(Simulator);

#[async_trait]
impl Platform for Found {
    fn key(&self) -> &str {
        self.0.key()
    }

    fn default_model(&self) -> Option<&str> {
        self.0.default_model()
    }

    fn simulated(&self) -> bool {
        true
    }

    fn unusable(&self) -> Option<String> {
        None
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        let from = request.user.find('[').expect("something is masked");
        let to = request.user.find(']').expect("something is masked");
        let text = json!({ "found": &request.user[from..=to] }).to_string();
        Ok(Reply { text, ..self.0.execute(request).await? })
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        self.0.stream(request).await
    }

    fn cost(&self, model: &str, usage: &Usage) -> Option<i64> {
        self.0.cost(model, usage)
    }

    async fn health(&self) -> Health {
        self.0.health().await
    }
}

#[tokio::test]
async fn what_is_forbidden_goes_where_it_may() {
    let (away, far) = parrot("away", str::to_owned);
    let (home, near) = parrot("home", str::to_owned);
    let usual = Redactor::new([Kind::Email]).deny("plan", "(?i)secret plan").unwrap();
    let redaction = Redaction {
        usual: Some(Arc::new(usual)),
        inside: BTreeSet::from(["home".parse().unwrap()]),
        ..Redaction::default()
    };
    let world = world(vec![away, home], redaction).await;
    let text = "the Secret Plan of ada@example.com";
    let run = world.start_again(&"flow".parse().unwrap(), json!({ "text": text })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert!(far.lock().unwrap().is_empty());
    assert_eq!(near.lock().unwrap()[0].user, format!("Say: {text}"), "nothing is masked inside");
    assert_eq!(started(&world).await, [("home".to_owned(), vec![])]);
    let passed_over = world.events().await.into_iter().find_map(|event| match event {
        Event::Task(TaskEvent::AttemptStarted { choice, .. }) => choice,
        _ => None,
    });
    let passed_over = passed_over.unwrap().passed_over;
    assert!(passed_over[0].platform.as_str() == "away" && passed_over[0].reason.contains("`plan`"), "{passed_over:?}");
}

#[tokio::test]
async fn what_may_go_nowhere_fails_without_an_attempt() {
    let (platform, seen) = parrot("simulator", str::to_owned);
    let usual = Redactor::new([]).deny("plan", "(?i)secret plan").unwrap();
    let own = Redactor::new([Kind::Email]);
    let agents = BTreeMap::from([("other".parse().unwrap(), Some(Arc::new(own)))]);
    let world = world(vec![platform], Redaction { usual: Some(Arc::new(usual)), agents, ..Redaction::default() }).await;
    let run = world.start_again(&"flow".parse().unwrap(), json!({ "text": "a secret plan" })).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    assert!(seen.lock().unwrap().is_empty() && started(&world).await.is_empty());
    let error = world.events().await.into_iter().find_map(|event| match event {
        Event::Task(TaskEvent::Failed { error }) => Some(error),
        _ => None,
    });
    let error = error.unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("`plan`") && !error.message.contains("a secret plan"), "{}", error.message);
}

#[tokio::test]
async fn an_agent_may_have_its_own() {
    let (platform, seen) = parrot("simulator", str::to_owned);
    let agents = BTreeMap::from([("worker".parse().unwrap(), None)]);
    let world = world(vec![platform], Redaction { agents, ..everything() }).await;
    let run = world.start_again(&"flow".parse().unwrap(), json!({ "text": TEXT })).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(seen.lock().unwrap()[0].user, format!("Say: {TEXT}"));
}
