use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::{AggregateError, CqrsFramework, EventStore};
use domain::{Actor, AgentRefusal, Task, TaskCommand, TaskRefusal, task::TaskStatus};
use journal::{Expected, Journal, Store};
use uuid::Uuid;

use super::conformance;
use crate::sample::append;

conformance!(carries_the_framework_of_cqrs_es, tells_the_framework_of_conflicts);

fn store(journal: &Arc<dyn Journal>) -> Store {
    Store::new(Arc::clone(journal), Actor::system("test"), "acme")
}

fn create() -> TaskCommand {
    TaskCommand::Create {
        run: None,
        step: None,
        template: domain::TemplateId::from_uuid(Uuid::nil()),
        template_version: 1,
        parameters: Arc::new(serde_json::json!({"n": 1})),
        retry: domain::RetryPolicy::default(),
        attempt_timeout: std::time::Duration::from_secs(5),
        at: domain::Timestamp::from_micros(0),
        start_by: None,
    }
}

async fn carries_the_framework_of_cqrs_es(journal: Arc<dyn Journal>) {
    let store = store(&journal);
    let framework: CqrsFramework<Task, Store> = CqrsFramework::new(store.clone(), vec![], ());
    let id = Uuid::now_v7().to_string();
    let correlation = Uuid::new_v4().to_string();
    let metadata = HashMap::from([("correlation".to_owned(), correlation.clone())]);
    framework.execute_with_metadata(&id, create(), metadata).await.unwrap();
    framework.execute(&id, TaskCommand::Cancel { reason: "enough".to_owned() }).await.unwrap();
    // Already so: nothing happens.
    framework.execute(&id, TaskCommand::Cancel { reason: "again".to_owned() }).await.unwrap();
    match framework.execute(&id, create()).await.unwrap_err() {
        AggregateError::UserError(TaskRefusal::AlreadyCreated) => {}
        other => panic!("{other}"),
    }
    let events = EventStore::<Task>::load_events(&store, &id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(events[0].metadata["correlation"], correlation);
    assert_eq!(events[1].metadata["actor"], "system:test");
    let mut context = EventStore::<Task>::load_aggregate(&store, &id).await.unwrap();
    let task: &mut Task = cqrs_es::AggregateContext::aggregate(&mut context);
    assert_eq!(task.status(), TaskStatus::Cancelled);

    assert!(matches!(
        framework.execute("no uuid", create()).await.unwrap_err(),
        AggregateError::UnexpectedError(what) if what.to_string().contains("no uuid")
    ));
    let unknown = HashMap::from([("colour".to_owned(), "blue".to_owned())]);
    let other = Uuid::now_v7().to_string();
    assert!(framework.execute_with_metadata(&other, create(), unknown).await.is_err());
    let agents: CqrsFramework<domain::Agent, Store> = CqrsFramework::new(store, vec![], ());
    match agents.execute(&other, domain::AgentCommand::Enable).await.unwrap_err() {
        AggregateError::UserError(AgentRefusal::NotFound) => {}
        other => panic!("{other}"),
    }
}

async fn tells_the_framework_of_conflicts(journal: Arc<dyn Journal>) {
    let store = store(&journal);
    let id = Uuid::now_v7();
    let context = EventStore::<Task>::load_aggregate(&store, &id.to_string()).await.unwrap();
    let stream = domain::TaskId::from_uuid(id).into();
    journal.append(append(stream, Expected::NoStream, &["faster"])).await.unwrap();
    let events = vec![domain::TaskEvent::Cancelled { reason: "slower".to_owned() }];
    let error = EventStore::<Task>::commit(&store, events, context, HashMap::new()).await.unwrap_err();
    assert!(matches!(error, AggregateError::AggregateConflict));
}
