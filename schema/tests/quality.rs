//! What people and judges say about answers, and how far they agree.

use domain::task::{Ending, Judgement, Quality, Review, Score, Version};
use domain::{AgentId, FinishReason, Reply, RunId, TaskCommand, TaskId, Usage};
use serde_json::{Value, json};

use crate::house::House;

const RATE: &str = "mutation($input: RateTaskInput!) { rateTask(input: $input) { changed repeated revision taskId
    task { averageRating ratings { by rating comment } quality { score source parts { source score count spread } } } } }";
const QUALITY: &str = "query($id: UUID!) { task(id: $id) { averageRating ratings { by }
    quality { score source parts { source score count spread } checks { what holds } }
    judgement { runId agentId model author asked scores median spread reason } failedJudgement { reason }
    review { rounds gain versions { attempt checks own counts } } attempts { number purpose } } }";

fn mark(hundredths: u16) -> Score {
    Score::of_hundredths(hundredths).unwrap()
}

/// A task that has completed with a revision, and what is there to say about it.
async fn answered(house: &House) -> TaskId {
    let run = house.start().await;
    house.on_run(run, domain::RunCommand::Claim { node: domain::NodeId::from_uuid(uuid::Uuid::now_v7()) }).await;
    house.advance(run).await;
    let task = house.begin_step(run, "outline").await;
    let reply = Reply {
        text: "An answer.".to_owned(),
        finish: FinishReason::Stop,
        model: "gpt-x".to_owned(),
        usage: Usage::default(),
        cost: None,
        duration: std::time::Duration::from_millis(5),
        first_piece: None,
        simulated: false,
        account: None,
    };
    let version = |attempt, checks| Version { attempt, checks: Some(mark(checks)), own: None };
    let ending = Ending {
        quality: Some(Quality { score: mark(550), checks: vec![] }),
        review: Some(Review { versions: vec![version(1, 550), version(2, 400)], rounds: 1 }),
        ..Ending::default()
    };
    house.on_task(task, TaskCommand::SucceedAttempt { attempt: 1, reply, ending: Some(ending) }).await;
    task
}

fn judge(task: TaskId, marks: &[u16]) -> TaskCommand {
    let judgement = Judgement {
        run: RunId::of_judging(task),
        agent: AgentId::from_key(&"reviewer".parse().unwrap()),
        model: "claude-y".to_owned(),
        author: "gpt-x".to_owned(),
        asked: 3,
        marks: marks.iter().copied().map(mark).collect(),
        at: commands::now(),
    };
    let judgement = Box::new(judgement);
    TaskCommand::Judge { judgement, reason: "Sound.".to_owned(), completed_at: commands::now() }
}

async fn rate(house: &House, person: &str, task: TaskId, rating: i32) -> Value {
    let input = json!({ "input": { "taskId": task.as_uuid(), "rating": rating, "comment": " fine " } });
    let answer = house.ask_as(person, RATE, input).await;
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"]["rateTask"].clone()
}

#[tokio::test]
async fn people_rate_an_answer_and_the_last_word_of_each_counts() {
    let house = House::furnished().await;
    let task = answered(&house).await;
    let first = rate(&house, "ada", task, 4).await;
    assert_eq!((&first["changed"], &first["task"]["averageRating"]), (&json!(true), &json!(4.0)));
    assert_eq!(first["task"]["ratings"], json!([{ "by": "person:ada", "rating": 4.0, "comment": "fine" }]));
    assert_eq!(rate(&house, "ada", task, 4).await["changed"], false);
    rate(&house, "bob", task, 9).await;
    let last = rate(&house, "ada", task, 8).await["task"].take();
    assert_eq!(last["averageRating"], 8.5);
    assert_eq!((&last["quality"]["score"], &last["quality"]["source"]), (&json!(8.5), &json!("PEOPLE")));
    assert_eq!(
        last["quality"]["parts"],
        json!([
            { "source": "CHECKS", "score": 5.5, "count": 0, "spread": 0.0 },
            { "source": "PEOPLE", "score": 8.5, "count": 2, "spread": 1.0 },
        ])
    );
    // Every rating is in the history.
    assert_eq!(house.revision(task).await, 8);
}

#[tokio::test]
async fn what_is_no_rating_is_refused() {
    let house = House::furnished().await;
    let task = answered(&house).await;
    let refused = async |task: uuid::Uuid, rating: i32, comment: &str| {
        let input = json!({ "input": { "taskId": task, "rating": rating, "comment": comment } });
        house.refusal(RATE, input).await.0
    };
    let id = task.as_uuid();
    assert_eq!(refused(id, 0, "").await, "TASK_RATING_INVALID");
    assert_eq!(refused(id, 11, "").await, "TASK_RATING_INVALID");
    assert_eq!(refused(id, 5, &"x".repeat(4001)).await, "TASK_RATING_INVALID");
    assert_eq!(refused(uuid::Uuid::now_v7(), 5, "").await, "TASK_NOT_FOUND");
    let run = house.start().await;
    house.on_run(run, domain::RunCommand::Claim { node: domain::NodeId::from_uuid(uuid::Uuid::now_v7()) }).await;
    house.advance(run).await;
    let running = house.begin_step(run, "outline").await;
    assert_eq!(refused(running.as_uuid(), 5, "").await, "TASK_NOT_COMPLETED");
}

#[tokio::test]
async fn a_task_tells_who_says_what_of_its_answer() {
    let house = House::furnished().await;
    let task = answered(&house).await;
    house.on_task(task, judge(task, &[700, 900, 600])).await;
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
    let told = house.data(QUALITY, json!({ "id": task.as_uuid() })).await["task"].take();
    assert_eq!((&told["quality"]["score"], &told["quality"]["source"]), (&json!(7.0), &json!("JUDGE")));
    let judgement = &told["judgement"];
    assert_eq!(
        (&judgement["scores"], &judgement["median"], &judgement["spread"]),
        (&json!([7.0, 9.0, 6.0]), &json!(7.0), &json!(3.0))
    );
    assert_eq!(
        (&judgement["model"], &judgement["author"], &judgement["reason"]),
        (&json!("claude-y"), &json!("gpt-x"), &json!("Sound."))
    );
    assert_eq!((&told["averageRating"], &told["failedJudgement"]), (&Value::Null, &Value::Null));
    assert_eq!(
        told["review"],
        json!({ "rounds": 1, "gain": 0.0, "versions": [
            { "attempt": 1, "checks": 5.5, "own": null, "counts": true },
            { "attempt": 2, "checks": 4.0, "own": null, "counts": false },
        ] })
    );
    assert_eq!(told["attempts"], json!([{ "number": 1, "purpose": "ANSWER" }]));
}

#[tokio::test]
async fn judges_are_calibrated_against_people() {
    let house = House::furnished().await;
    let ask = "query($at: Position, $since: DateTime) { judgeCalibration(minPosition: $at, since: $since) {
        all { model count bias absoluteError pearson spearman } models { model count } } }";
    let none = house.data(ask, json!({})).await["judgeCalibration"].take();
    assert_eq!(none, json!({ "all": null, "models": [] }));
    let mut answers = Vec::new();
    let mut say = async || {
        let head = house.head().await;
        answers.push((head.clone(), house.data(ask, json!({ "at": head })).await["judgeCalibration"].take()));
    };
    for (judged, people) in [(800, [7, 7]), (600, [5, 3]), (900, [9, 10])] {
        let task = answered(&house).await;
        house.on_task(task, judge(task, &[judged])).await;
        say().await;
        rate(&house, "ada", task, 1).await;
        say().await;
        rate(&house, "ada", task, people[0]).await;
        rate(&house, "bob", task, people[1]).await;
        say().await;
    }
    // Only judged, and only rated: these say nothing about the judge.
    let task = answered(&house).await;
    house.on_task(task, judge(task, &[100])).await;
    rate(&house, "ada", answered(&house).await, 10).await;
    let told = house.data(ask, json!({ "at": house.head().await })).await["judgeCalibration"].take();
    let all = &told["all"];
    assert_eq!((&all["model"], &all["count"]), (&Value::Null, &json!(3)));
    // Judge 8, 6, 9 and people 7, 4, 9.5.
    let close = |name: &str, wanted: f64| {
        let found = all[name].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-9, "{name} is {found}");
    };
    close("bias", 2.5 / 3.0);
    close("absoluteError", 3.5 / 3.0);
    close("spearman", 1.0);
    assert!(all["pearson"].as_f64().unwrap() > 0.99);
    assert_eq!(told["models"], json!([{ "model": "claude-y", "count": 3 }]));
    let later = json!({ "at": house.head().await, "since": "2200-01-01T00:00:00Z" });
    assert_eq!(house.data(ask, later).await["judgeCalibration"]["all"], Value::Null);
    // As of then, it is what was answered then.
    let counts: Vec<&Value> = answers.iter().map(|(_, said)| &said["all"]["count"]).collect();
    let expected =
        [None, Some(1), Some(1), Some(1), Some(2), Some(2), Some(2), Some(3), Some(3)].map(|count| json!(count));
    assert_eq!(counts, expected.iter().collect::<Vec<_>>());
    assert_ne!(answers[1].1, answers[2].1, "somebody has thought better of it");
    let then = ask.replace("minPosition: $at", "asOf: { position: $at }");
    for (at, said) in &answers {
        let told = house.data(&then, json!({ "at": at })).await["judgeCalibration"].take();
        assert_eq!(&told, said, "as of {at}");
    }
    let position = "{ judgeCalibration(asOf: { time: \"2020-01-01T00:00:00Z\" }) { all { count } position } }";
    let told = house.data(position, json!({})).await["judgeCalibration"].take();
    assert_eq!(told, json!({ "all": null, "position": "0" }));
}

#[tokio::test]
async fn a_run_is_as_good_as_whoever_counts_says_and_its_document_says_who() {
    let house = House::furnished().await;
    let ask = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) {
        quality { score people judge checks } document(format: JSON) } }";
    let tell = async |run: RunId| {
        // The read model of quality answers for itself, and has to have come as far as the question wants.
        let now = json!({ "id": run.as_uuid(), "at": house.head().await });
        let mut told = house.data(ask, now).await["run"].take();
        let document: Value = serde_json::from_str(told["document"].as_str().unwrap()).unwrap();
        (told["quality"].take(), document)
    };
    let bare = house.start().await;
    assert_eq!(tell(bare).await.0, Value::Null);
    let task = answered(&house).await;
    let asked = json!({ "id": task.as_uuid(), "at": house.head().await });
    let of = "query($id: UUID!, $at: Position) { task(id: $id, minPosition: $at) { run { runId } } }";
    let run: RunId = house.data(of, asked).await["task"]["run"]["runId"].as_str().unwrap().parse().unwrap();
    let (quality, document) = tell(run).await;
    assert_eq!(quality, json!({ "score": 5.5, "people": 0, "judge": 0, "checks": 1 }));
    assert_eq!(document["compiled"]["quality"], 550);
    house.on_task(task, judge(task, &[700, 900, 600])).await;
    assert_eq!(tell(run).await.0, json!({ "score": 7.0, "people": 0, "judge": 1, "checks": 0 }));
    rate(&house, "ada", task, 3).await;
    rate(&house, "bob", task, 4).await;
    let (quality, document) = tell(run).await;
    assert_eq!(quality, json!({ "score": 3.5, "people": 1, "judge": 0, "checks": 0 }));
    assert_eq!(document["compiled"]["quality"], 350);
    assert_eq!(document["compiled"]["qualitySources"], json!({ "people": 1, "judge": 0, "checks": 0 }));
    let marks = document["outcomes"][0]["marks"].as_array().unwrap();
    let told: Vec<_> = marks.iter().map(|mark| (&mark["source"], &mark["score"], &mark["counts"])).collect();
    assert_eq!(
        told,
        [
            (&json!("people"), &json!(350), &json!(true)),
            (&json!("judge"), &json!(700), &json!(false)),
            (&json!("checks"), &json!(550), &json!(false)),
        ]
    );
    let past = "query($id: UUID!, $at: Position) { run(id: $id, asOf: { position: $at }) { quality { score people judge checks }
        document(format: JSON) } }";
    let past = house.data(past, json!({ "id": run.as_uuid(), "at": house.head().await })).await;
    assert_eq!(past["run"]["quality"], quality);
    assert_eq!(serde_json::from_str::<Value>(past["run"]["document"].as_str().unwrap()).unwrap(), document);
}
