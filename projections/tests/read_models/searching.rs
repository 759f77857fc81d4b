//! What is found by which words, in a real PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use domain::action::ActionState;
use domain::run::Start;
use domain::task::{ActionItem, Form, Output};
use domain::{
    ActionEvent, ActionId, Actor, Definition, RunEvent, RunId, StreamId, TaskEvent, TaskId, Timestamp, WorkflowId,
};
use journal::Position;
use projections::{ActionFilter, ActionKey, FoundRow, Options, Window, compare};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;
use uuid::Uuid;

use crate::fixtures;
use crate::history::History;
use crate::world::{PATIENCE, Running, World};

/// Says a text, as the answer of a task of its own.
async fn say(history: &mut History, number: u128, text: &str) {
    say_all(history, number, &[(1, text)]).await;
}

/// Says texts at once, as the answers of a task's attempts.
async fn say_all(history: &mut History, number: u128, texts: &[(u32, &str)]) {
    let said = |(attempt, text): &(u32, &str)| {
        let reply = domain::Reply {
            text: (*text).to_owned(),
            finish: domain::FinishReason::Stop,
            model: "m".to_owned(),
            usage: domain::Usage::default(),
            cost: None,
            duration: Duration::ZERO,
            first_piece: None,
            simulated: false,
            account: None,
        };
        TaskEvent::AttemptSucceeded { attempt: *attempt, reply: Box::new(reply) }.into()
    };
    history.force(TaskId::from_uuid(Uuid::from_u128(number)).into(), texts.iter().map(said).collect()).await;
}

/// The numbers of the answers that have these words, the best first.
async fn find(running: &Running, words: &str) -> Vec<u128> {
    let found = running.queries().search(words, &["task_output".to_owned()], 200).await.unwrap();
    found.into_iter().map(|row| row.id.as_u128()).collect()
}

/// What is said here belongs to no run that any other read model would know.
const READ_MODELS: [&str; 2] = ["search", "actions"];

async fn reach(running: &Running, position: Position) {
    for name in READ_MODELS {
        running.queries().wait_for_one(name, position, PATIENCE).await.unwrap();
    }
}

async fn assert_equal(world: &World) {
    for name in READ_MODELS {
        let comparison = compare(world.database.pool(), &*world.journal, name).await.unwrap();
        assert!(comparison.is_equal(), "{comparison:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_is_found_in_every_spelling_and_compounds_as_phrases() {
    let world = World::new().await;
    let mut history = world.history(81);
    let running = world.start(Options::default()).await;
    let texts = [
        (1, "نشرنا الإعلانَ في الصحيفة."),
        (2, "Write to jane.doe@example.com about the sign-off of the contract."),
        (3, "The file lies in /usr/local/share, version v1.12.3 of the company's résumé parser."),
        (4, "東京都の天気は晴れです"),
        (5, "We don't sign; example of contracts: jane at doe, share local usr."),
        (6, "الوظيفة رقم ٢٠٢٦ شاغرة"),
        (7, "Die Straße; naïve Ελλάδος ПРИВЕТ 안녕하세요"),
    ];
    for (number, text) in texts {
        say(&mut history, number, text).await;
    }
    reach(&running, history.position).await;
    let cases: &[(&str, &[u128])] = &[
        ("إعلان", &[1]),
        ("اعلان", &[1]),
        ("أعلان صحيفه", &[1]),
        ("وظيفة 2026", &[6]),
        ("وظيفه", &[6]),
        ("jane.doe@example.com", &[2]),
        ("example.com", &[2]),
        ("\"sign off of the contracts\"", &[2]),
        ("\"sign off contract\"", &[]),
        ("sign-off", &[2]),
        ("/usr/local", &[3]),
        ("local/usr", &[5]),
        ("v1.12.3", &[3]),
        ("v1.12.4", &[]),
        ("company", &[3]),
        ("companies resume", &[3]),
        ("RÉSUMÉ", &[3]),
        ("東京", &[4]),
        ("京東", &[]),
        ("strasse", &[7]),
        ("naive Ελλάδοσ привет 안녕하세요", &[7]),
        ("signing contract -example", &[]),
        ("signing contract -jane.doe@example.com", &[5]),
        ("東京 or strasse or nowhere", &[4, 7]),
        ("share -version or إعلان", &[1, 5]),
        ("the of -a", &[]),
        ("في", &[]),
    ];
    for (words, numbers) in cases {
        let mut found = find(&running, words).await;
        found.sort_unstable();
        assert_eq!(&found, numbers, "{words}");
    }
    let excerpt = async |words: &str| {
        let found = running.queries().search(words, &[], 1).await.unwrap();
        found.into_iter().map(|row: FoundRow| row.excerpt).collect::<String>()
    };
    assert_eq!(excerpt("اعلان صحيفة").await, "نشرنا «الإعلانَ» في «الصحيفة»");
    assert_eq!(excerpt("v1.12").await.matches('«').count(), 2);
    assert_equal(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_answer_takes_the_place_of_the_first() {
    let world = World::new().await;
    let mut history = world.history(87);
    let running = world.start(Options::default()).await;
    let batches: [(u128, &[(u32, &str)]); 6] = [
        (1, &[(1, "bread")]),
        (1, &[(2, "cake")]),
        // The first attempt brought nothing.
        (2, &[(2, "bread")]),
        (3, &[(1, "bread"), (2, "cake")]),
        (4, &[(1, "bread"), (2, "bread")]),
        (4, &[(3, "bread"), (4, "cake")]),
    ];
    for (number, texts) in batches {
        say_all(&mut history, number, texts).await;
        reach(&running, history.position).await;
    }
    let found = async |words| {
        let mut found = find(&running, words).await;
        found.sort_unstable();
        found
    };
    assert_eq!((found("bread").await, found("cake").await), (vec![2], vec![1, 3, 4]));
    assert_equal(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_thing_is_called_counts_more_than_what_is_said_of_it() {
    let world = World::new().await;
    let mut history = world.history(82);
    let running = world.start(Options::default()).await;
    let mut letter = fixtures::body("letter");
    letter.title = "Letter of resignation".into();
    letter.description = "Something long about much else".into();
    history.template(letter).await;
    let mut other = fixtures::body("other");
    other.title = "Something else".into();
    other.description = "For a resignation".into();
    history.template(other).await;
    reach(&running, history.position).await;
    let found = running.queries().search("resignations", &["template".to_owned()], 10).await.unwrap();
    let labels: Vec<&str> = found.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["Letter of resignation", "Something else"]);
    assert!(found[0].rank > 2.0 * found[1].rank, "{found:?}");
}

/// A run that asks for one thing, from its start to its end.
async fn ask(history: &mut History, number: u128, item: ActionItem) -> ActionId {
    let definition: Arc<Definition> = Arc::new(fixtures::chain("asking", 1));
    let step = definition.steps[0].name.clone();
    let (run, task) = (RunId::from_uuid(Uuid::from_u128(number)), TaskId::from_uuid(Uuid::from_u128(number + 1000)));
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    let start = Start {
        id: run,
        workflow: WorkflowId::from_key(&definition.key),
        version: 1,
        definition,
        input: Arc::new(json!({})),
        by: Actor::person("tester"),
        at,
        deadline: None,
        priority: 0,
        parent: None,
        lineage: None,
        trigger: None,
        subject: None,
        again: None,
        form: Form::Every,
    };
    let started = RunEvent::StepStarted { step, task, at, deadline: None };
    history.force(run.into(), vec![RunEvent::Started(Box::new(start)).into(), started.into()]).await;
    let output = Some(Box::new(Output { actions: Some(vec![item]), ..Output::default() }));
    let completed = TaskEvent::Completed { attempt: 1, output, quality: None, review: None };
    history.force(task.into(), vec![completed.into()]).await;
    let ended = RunEvent::Completed { output: Arc::new(json!({})), simulated: false };
    history.force(run.into(), vec![ended.into()]).await;
    ActionId { task, number: 1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_item_is_found_by_what_it_is_now() {
    let world = World::new().await;
    let mut history = world.history(83);
    let running = world.start(Options::default()).await;
    let item = |what: &str, owner: Option<&str>| ActionItem {
        what: what.to_owned(),
        owner: owner.map(str::to_owned),
        due: None,
        priority: None,
    };
    let first = ask(&mut history, 1, item("Renew the lease of the offices", Some("Huda"))).await;
    let second = ask(&mut history, 2, item("راجع الإعلان\0", None)).await;
    // However much a model writes, there is a row for it, and its beginning is found.
    let mut long = String::from("Inspect");
    let mut owner = String::from("Inspectorate");
    for number in 0..60_000_u32 {
        long.push_str(&format!(" w{number}"));
        owner.push_str(&format!(" {number}"));
    }
    let third = ask(&mut history, 3, item(&long, Some(&owner))).await;
    let queries = running.queries();
    let find = async |words: &str| {
        let found = queries.search(words, &["action_item".to_owned()], 50).await.unwrap();
        found.into_iter().map(|row| TaskId::from_uuid(row.id)).collect::<Vec<_>>()
    };
    reach(&running, history.position).await;
    assert_eq!(find("leases").await, [first.task]);
    assert_eq!(find("\"lease of the office\" huda").await, [first.task]);
    assert_eq!(find("اعلان").await, [second.task]);
    assert_eq!(find("inspecting").await, [third.task]);
    assert_eq!(find("w59999").await, [], "of a long text the beginning counts");
    let id = (third.task.as_uuid(), 1);
    let row = queries.actions_by_ids(&[id]).await.unwrap().pop().unwrap();
    let of_owner = ActionFilter { owner: row.owner, ..ActionFilter::default() };
    let page = queries.actions(ActionKey::Opened, &of_owner, &Window::first(9)).await.unwrap();
    assert_eq!(page.rows.len(), 1);

    for (owner, note, found, lost) in [
        (Some("Omar"), Some("Ask the landlord\0"), ["omar", "landlords"], ["huda", "نتائج"]),
        (None, Some("النتائج عند سارة"), ["نتائج", "ساره"], ["omar", "landlord"]),
        (Some("Huda"), None, ["huda", "lease"], ["نتائج", "سارة"]),
    ] {
        let changed = ActionEvent::Changed {
            run: RunId::from_uuid(Uuid::from_u128(1)),
            task: first.task,
            number: 1,
            state: ActionState::InProgress,
            owner: owner.map(str::to_owned),
            due: None,
            note: note.map(str::to_owned),
            by: Actor::person("ada"),
            at: Timestamp::from_micros(1_700_000_001_000_000),
        };
        history.force(StreamId::from(first), vec![changed.into()]).await;
        reach(&running, history.position).await;
        for words in found {
            assert_eq!(find(words).await, [first.task], "{words}");
        }
        for words in lost {
            assert_eq!(find(words).await, [], "{words}");
        }
        assert_eq!(find("\"renew the lease\"").await, [first.task]);
    }
    let rank = async |words: &str| queries.search(words, &[], 1).await.unwrap().pop().unwrap().rank;
    assert!(rank("lease").await > 2.0 * rank("huda").await, "what has to be done counts more than by whom");
    assert_equal(&world).await;
}

/// Anything that may be in a text, or in a question.
fn anything() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => prop::char::range(' ', '~'),
        1 => prop::char::range('\0', '\u{2ff}'),
        1 => prop::char::range('\u{300}', '\u{36f}'),
        3 => prop::char::range('\u{600}', '\u{6ff}'),
        1 => prop::char::range('\u{900}', '\u{1fff}'),
        1 => prop::char::range('\u{2000}', '\u{30ff}'),
        1 => prop::char::range('\u{ac00}', '\u{ffff}'),
        1 => Just('\u{fdfa}'),
        2 => any::<char>(),
    ];
    let letters = prop::collection::vec(character, 0..400).prop_map(|letters| letters.into_iter().collect::<String>());
    let words = prop::sample::select(vec![
        "or", "OR", "-", "--", "\"", "'", "\\", ":*", "|", "!", "<->", "( ", "«", "the", "في",
    ]);
    let sentence = prop::collection::vec(words, 0..40).prop_map(|words| words.join(" "));
    prop_oneof![4 => letters, 1 => sentence]
}

/// Texts that are large in every way in which there is a limit.
fn extremes() -> Vec<String> {
    let many = |count: u32, word: fn(u32) -> String| (0..count).map(word).collect::<Vec<_>>().join(" ");
    let hangul = |number: u32| char::from_u32(0xac00 + number % 11_172).unwrap_or('가').to_string().repeat(3);
    vec![
        String::new(),
        "x".repeat(100_000),
        "é".repeat(50_000),
        format!("a{}", "\u{301}".repeat(40_000)),
        "rent ".repeat(20_000),
        "東".repeat(33_000),
        "\u{fdfa}".repeat(30_000),
        many(20_000, |number| format!("w{number}")),
        many(1_500, |number| format!("{}{number}", "long".repeat(60))),
        many(9_000, hangul),
        "\0 \u{1}\u{7f}\u{feff}\u{202e}".repeat(1_000),
        "'\\:*&|!()<>-\"".repeat(5_000),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_takes_every_text_and_every_question() {
    let world = World::new().await;
    let mut history = world.history(84);
    let running = world.start(Options::default()).await;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut texts = extremes();
    texts.extend((0..400).map(|_| anything().new_tree(&mut runner).unwrap().current()));
    for (number, text) in (1..).zip(&texts) {
        say(&mut history, number, text).await;
    }
    let long = texts[7].clone();
    let item = ActionItem { what: long.clone(), owner: Some(long), due: None, priority: None };
    ask(&mut history, 5000, item).await;
    for (number, text) in (6000..).zip(texts.iter().skip(12).filter(|text| !text.is_empty()).take(50)) {
        ask(
            &mut history,
            number,
            ActionItem { what: text.clone(), owner: Some(text.clone()), due: None, priority: None },
        )
        .await;
    }
    reach(&running, history.position).await;
    // Nothing stands there that PostgreSQL would have written in another way itself.
    for table in ["read_search.documents", "read_actions.action_items"] {
        let sql = format!("SELECT count(*), count(*) FILTER (WHERE words::text::tsvector = words) FROM {table}");
        let (rows, same): (i64, i64) =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(world.database.pool()).await.unwrap();
        assert!(rows > 20 && rows == same, "{table} {rows} {same}");
    }
    let mut found = 0;
    for (number, text) in (1..).zip(&texts) {
        let question: String = text.chars().take(500).collect();
        let hits = find(&running, &question).await;
        found += usize::from(hits.contains(&number));
    }
    // The others exclude what they have, or have no words.
    assert!(found > texts.len() / 4, "{found} of {}", texts.len());
    assert_equal(&world).await;
}
