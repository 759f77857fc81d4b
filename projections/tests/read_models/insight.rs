//! Usage, search, and differences between versions.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{AgentCommand, Reply, RunEvent, TaskEvent};
use projections::{DefinitionDiff, Options, StepChange, UsageFilter, UsageGroups, UsageKey};

use crate::fixtures;
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_what_the_attempts_say_however_it_is_rolled_up() {
    let world = World::new().await;
    let mut history = world.history(70);
    let running = world.start(Options::default()).await;
    history.agent("writer", AgentCommand::Register { profile: Box::new(fixtures::profile("writer")) }).await;
    history.template(fixtures::body("write")).await;
    history.happen(600).await;
    history.finish().await;
    running.wait_for(history.position).await;
    running.queries().wait_for_one("usage", history.position, PATIENCE).await.unwrap();
    let queries = running.queries();
    let usage =
        async |groups, filter: &UsageFilter| queries.usage(groups, filter, UsageKey::Group, false, 5000).await.unwrap();
    // Against the other read model, which was made by other code.
    let sums = "SELECT count(*), coalesce(sum(cost_nano_usd), 0)::bigint, count(*) FILTER (WHERE status = 'succeeded'),
        count(*) FILTER (WHERE status IN ('failed', 'lost')), coalesce(sum(input_tokens), 0)::bigint,
        count(*) FILTER (WHERE cost_nano_usd IS NULL AND status <> 'running'), count(*) FILTER (WHERE simulated),
        count(*) FILTER (WHERE kept_at IS NOT NULL AND status = 'succeeded'),
        coalesce(sum(saved_nano_usd) FILTER (WHERE status = 'succeeded'), 0)::bigint,
        count(*) FILTER (WHERE kept_at IS NOT NULL AND status = 'succeeded' AND saved_nano_usd IS NULL)
        FROM read_runs.attempts";
    let expected: (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) =
        sqlx::query_as(sums).fetch_one(world.database.pool()).await.unwrap();
    let all = usage(UsageGroups::default(), &UsageFilter::default()).await;
    let [total] = all.as_slice() else { panic!("{all:?}") };
    let found = (
        total.attempts,
        total.cost_nano_usd,
        total.succeeded,
        total.failed,
        total.input_tokens,
        total.unknown_costs,
        total.simulated,
        total.kept,
        total.saved_nano_usd,
        total.unknown_savings,
    );
    assert_eq!(found, expected);
    assert!(total.attempts > 100 && total.cost_nano_usd > 0 && total.unknown_costs > 0);
    assert!(total.saved_nano_usd > 0 && total.unknown_savings > 0 && total.kept < total.succeeded);
    // In any order there are the same groups.
    let by = UsageGroups { template: true, platform: true, model: true, ..UsageGroups::default() };
    let ordered = async |key, reversed| queries.usage(by, &UsageFilter::default(), key, reversed, 5000).await.unwrap();
    let mut known = ordered(UsageKey::Group, false).await;
    let worth = |key: UsageKey, row: &projections::UsageRow| match key {
        UsageKey::Group => 0,
        UsageKey::Cost => row.cost_nano_usd,
        UsageKey::Attempts => row.attempts,
        UsageKey::Tokens => row.input_tokens + row.output_tokens,
        UsageKey::Failed => row.failed,
    };
    for key in [UsageKey::Cost, UsageKey::Attempts, UsageKey::Tokens, UsageKey::Failed] {
        let mut expected = known.clone();
        expected.sort_by_key(|row| std::cmp::Reverse(worth(key, row)));
        assert_eq!(ordered(key, false).await, expected);
        expected.reverse();
        let turned: Vec<i64> = ordered(key, true).await.iter().map(|row| worth(key, row)).collect();
        assert_eq!(turned, expected.iter().map(|row| worth(key, row)).collect::<Vec<_>>());
    }
    known.reverse();
    assert_eq!(ordered(UsageKey::Group, true).await, known);
    // What runs cost is what their tasks cost.
    let of_runs = "SELECT o.id, o.cost_nano_usd, coalesce(sum(a.cost_nano_usd), 0)::bigint FROM read_usage.run_origins o
        LEFT JOIN read_runs.tasks t ON t.run_id = o.id LEFT JOIN read_runs.attempts a ON a.task_id = t.id GROUP BY o.id";
    let of_runs: Vec<(uuid::Uuid, i64, i64)> = sqlx::query_as(of_runs).fetch_all(world.database.pool()).await.unwrap();
    assert!(of_runs.iter().all(|(_, told, summed)| told == summed), "{of_runs:?}");
    assert!(of_runs.iter().filter(|(_, told, _)| *told > 0).count() > 3);
    // Any roll-up has the same sum.
    let everything = UsageGroups {
        day: true,
        department: true,
        agent: true,
        platform: true,
        model: true,
        template: true,
        workflow: true,
        person: true,
    };
    for groups in [everything, UsageGroups { workflow: true, ..UsageGroups::default() }] {
        let rows = usage(groups, &UsageFilter::default()).await;
        assert!(rows.len() > 1);
        assert_eq!(rows.iter().map(|row| row.attempts).sum::<i64>(), total.attempts);
        assert_eq!(rows.iter().map(|row| row.cost_nano_usd).sum::<i64>(), total.cost_nano_usd);
    }
    let rows = usage(everything, &UsageFilter::default()).await;
    let row = rows.iter().find(|row| row.succeeded > 0).unwrap();
    assert_eq!(row.agent.as_deref(), Some("writer"));
    assert_eq!(row.template.as_deref(), Some("write"));
    assert_eq!((row.department.as_deref(), row.person.as_deref()), (Some("editorial"), Some("person:tester")));
    assert_eq!((row.platform.as_deref(), row.day), (Some("simulator"), Some(1_700_000_000 / 86_400)));
    // What the filter leaves out is the rest.
    let one = UsageFilter { workflow: Some("entry-0".to_owned()), ..UsageFilter::default() };
    let other = UsageFilter { workflow: Some("entry-1".to_owned()), ..UsageFilter::default() };
    let none = UsageFilter { before: Some(1), ..UsageFilter::default() };
    let count = async |filter: &UsageFilter| {
        usage(UsageGroups::default(), filter).await.iter().map(|row| row.attempts).sum::<i64>()
    };
    assert_eq!(count(&one).await + count(&other).await, total.attempts);
    assert_eq!(count(&none).await, 0);
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_found_in_both_languages_by_any_form_of_their_words() {
    let world = World::new().await;
    let mut history = world.history(71);
    let running = world.start(Options::default()).await;
    let mut definition = fixtures::diamond("hiring");
    definition.name = fixtures::both("Hiring of nurses", "توظيف الممرضين");
    definition.description = fixtures::both("Finds candidates and writes offers", "يكتب العروض للمرشحين");
    history.workflow(definition.clone()).await;
    let mut body = fixtures::body("contract");
    body.title = fixtures::both("Rental contract", "عقد إيجار");
    history.template(body).await;
    let run = history.start(&definition).await;
    let task = domain::TaskId::of_step(run, &"first".parse().unwrap());
    let output = serde_json::json!({ "letter": "Dear candidate, the hospitals are opening." });
    history
        .force(run.into(), vec![RunEvent::Completed { output: std::sync::Arc::new(output), simulated: false }.into()])
        .await;
    let reply = Reply {
        text: "Invoices were paid late".to_owned(),
        finish: domain::FinishReason::Stop,
        model: "m".to_owned(),
        usage: domain::Usage::default(),
        cost: None,
        duration: Duration::ZERO,
        first_piece: None,
        simulated: false,
        account: None,
    };
    history.force(task.into(), vec![TaskEvent::AttemptSucceeded { attempt: 1, reply: Box::new(reply) }.into()]).await;
    running.queries().wait_for_one("search", history.position, PATIENCE).await.unwrap();
    let queries = running.queries();
    let find = async |words: &str| {
        let found = queries.search(words, &[], 50).await.unwrap();
        found.into_iter().map(|row| (row.kind, row.label)).collect::<Vec<_>>()
    };
    let is = |kind: &str, label: &str| (kind.to_owned(), label.to_owned());
    assert_eq!(find("candidate offer").await, [is("workflow", "Hiring of nurses")]);
    assert!(find("nurse").await.contains(&is("workflow", "Hiring of nurses")));
    assert!(find("الممرضين").await.contains(&is("workflow", "Hiring of nurses")));
    assert!(find("عقود").await.is_empty(), "a broken plural is another stem");
    assert_eq!(find("العقد").await, [is("template", "Rental contract")], "the article makes no difference");
    assert_eq!(find("hospital").await, [is("run_output", "hiring")]);
    assert_eq!(find("invoice late").await, [is("task_output", "first")]);
    assert_eq!(find("\"paid late\"").await, [is("task_output", "first")]);
    assert!(find("\"late paid\"").await.is_empty());
    assert!(find("invoice -late").await.is_empty());
    assert!(find("").await.is_empty() && find("' OR drop=table --").await.is_empty() && find("\0").await.is_empty());
    let found = queries.search("hospital", &["task_output".to_owned()], 50).await.unwrap();
    assert!(found.is_empty());
    let found = queries.search("invoices", &[], 50).await.unwrap();
    assert_eq!((found[0].run_id, found[0].step.as_deref()), (Some(run.as_uuid()), Some("first")));
    assert!(found[0].excerpt.contains("«Invoices»"), "{}", found[0].excerpt);
}

#[test]
fn versions_differ_in_what_is_different() {
    let before = fixtures::diamond("bread");
    let mut after = before.clone();
    assert_eq!(DefinitionDiff::between(&before, &after).unwrap(), DefinitionDiff::default());
    after.description.en = "Bakes".to_owned();
    after.steps.retain(|step| step.name.as_str() != "second");
    after.steps.push(fixtures::step("fourth", &["first"]));
    after.steps[0].timeout = Some(Duration::from_secs(5));
    let diff = DefinitionDiff::between(&before, &after).unwrap();
    assert_eq!(diff.fields.len(), 1);
    assert_eq!(diff.fields[0].path, "description.en");
    assert_eq!(diff.fields[0].to, Some("Bakes".into()));
    let steps: BTreeMap<_, _> = diff.steps.iter().map(|step| (step.name.as_str(), step.change)).collect();
    let expected =
        [("first", StepChange::Changed), ("fourth", StepChange::Added), ("second", StepChange::Removed)].into();
    assert_eq!(steps, expected);
    let first = diff.steps.iter().find(|step| step.name == "first").unwrap();
    assert!(first.fields.iter().all(|field| field.path.starts_with("timeout")), "{:?}", first.fields);
}
