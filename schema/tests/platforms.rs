//! Platforms and how they are doing.

use std::time::Duration;

use async_graphql::futures_util::{FutureExt, StreamExt};
use domain::Timestamp;
use providers::openai::Options;
use providers::{OpenAi, Secret};
use schema::{Breaker, FailureState, LineState, ProbeState};
use serde_json::{Value, json};
use testkit::openai::{Behaviour, OpenAiServer};

use crate::house::House;

const FIELDS: &str = "key kind model order simulated tags modelTags { model tags } unusable health probe { at up failure } lines { model breaker restingUntil barred inFlight
    atOnce calls failed failures { at kind message } }";

fn failing() -> LineState {
    LineState {
        model: Some("large".to_owned()),
        breaker: Breaker::Open,
        resting_until: Some(Timestamp::from_micros(1_800_000_000_000_000)),
        in_flight: 2,
        at_once: Some(8),
        calls: 9,
        failed: 4,
        failures: vec![FailureState {
            at: Timestamp::from_micros(1_799_999_999_000_000),
            kind: "rate_limited".to_owned(),
            message: "slow down".to_owned(),
        }],
        ..LineState::default()
    }
}

#[tokio::test]
async fn every_platform_says_how_it_is_doing() {
    let house = House::new().await;
    let ask = format!("{{ platforms {{ nodes {{ {FIELDS} node }} }} none: platform(key: \"nobody\") {{ key }} }}");
    let untried = house.data(&ask, json!({})).await;
    assert_eq!(untried["platforms"]["nodes"][0]["health"], "UNTRIED");
    assert_eq!((&untried["none"], &untried["platforms"]["nodes"][0]["probe"]), (&Value::Null, &Value::Null));
    let at = Timestamp::from_micros(1_800_000_000_000_000);
    house.platforms.change(|platforms| {
        platforms[0].tags = vec!["eu".to_owned()];
        platforms[0].model_tags = vec![("large".to_owned(), vec!["us".to_owned()])];
        platforms[0].probe = Some(ProbeState { at, failure: Some("nobody is there".to_owned()) });
    });
    house.platforms.change(|platforms| platforms[0].lines = vec![failing()]);
    let told = house.data(&ask, json!({})).await["platforms"]["nodes"][0].take();
    assert_eq!((&told["health"], &told["tags"]), (&json!("RESTING"), &json!(["eu"])));
    assert_eq!(told["modelTags"], json!([{ "model": "large", "tags": ["us"] }]));
    assert_eq!(told["probe"], json!({ "at": "2027-01-15T08:00:00Z", "up": false, "failure": "nobody is there" }));
    assert_eq!(
        told["lines"],
        json!([{
            "model": "large", "breaker": "OPEN", "restingUntil": "2027-01-15T08:00:00Z", "barred": false, "inFlight": 2,
            "atOnce": 8, "calls": 9, "failed": 4,
            "failures": [{ "at": "2027-01-15T07:59:59Z", "kind": "rate_limited", "message": "slow down" }],
        }])
    );
    let well = LineState { calls: 1, ..LineState::default() };
    house.platforms.change(|platforms| platforms[0].lines.push(well));
    assert_eq!(house.data(&ask, json!({})).await["platforms"]["nodes"][0]["health"], "TROUBLED");
    house.platforms.change(|platforms| platforms[0].lines.retain(|line| line.breaker == Breaker::Closed));
    assert_eq!(house.data(&ask, json!({})).await["platforms"]["nodes"][0]["health"], "WELL");
    house.platforms.change(|platforms| platforms[0].unusable = Some("no key".to_owned()));
    assert_eq!(house.data(&ask, json!({})).await["platforms"]["nodes"][0]["health"], "UNUSABLE");
}

#[tokio::test]
async fn what_platforms_offer_and_what_models_cost_is_told() {
    let house = House::new().await;
    let ask = "{ platformModels(key: \"openai\") { models { name tools schema maxInput nanoUsdPerMillionInput nanoUsdPerMillionOutput tags }
        failure { kind message } } none: platformModels(key: \"nobody\") { models { name } }
        modelPrices(named: \"lar\") { lists prices { vendor model list validFrom tier above input cached written output } }
        nothing: modelPrices(named: \"gone\") { prices { model } } }";
    let told = house.data(ask, json!({})).await;
    let model = json!({ "name": "large", "tools": true, "schema": null, "maxInput": 8192,
        "nanoUsdPerMillionInput": 2_500_000_000_u64, "nanoUsdPerMillionOutput": null, "tags": [] });
    assert_eq!(told["platformModels"], json!({ "models": [model], "failure": null }));
    assert_eq!(told["none"], Value::Null);
    let price = json!({ "vendor": "openai", "model": "large", "list": "2026-11-25", "validFrom": "2026-11-25", "tier": null,
        "above": null, "input": 2_500_000_000_u64, "cached": null, "written": null, "output": 10_000_000_000_u64 });
    assert_eq!(told["modelPrices"], json!({ "lists": ["2026-11-25"], "prices": [price] }));
    assert_eq!(told["nothing"]["prices"], json!([]));
    house.platforms.change(|platforms| platforms[0].unusable = Some("no key".to_owned()));
    let told = house.data(ask, json!({})).await;
    assert_eq!(
        told["platformModels"],
        json!({ "models": [], "failure": { "kind": "unauthorized", "message": "no key" } })
    );
}

#[tokio::test]
async fn a_change_is_told_and_many_at_once_are_one() {
    let house = House::new().await;
    let ask = "subscription { platformHealth { node platforms { key health } } }";
    let mut items = house.schema.execute_stream(House::request(ask, json!({})));
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(10), items.next()).await.expect("a state comes").unwrap();
        serde_json::to_value(item).unwrap()["data"]["platformHealth"]["platforms"][0]["health"].take()
    };
    assert_eq!(next().await, "UNTRIED");
    for _ in 0..100 {
        house.platforms.change(|platforms| platforms[0].lines = vec![failing()]);
    }
    house.platforms.change(|platforms| platforms[0].lines = vec![LineState::default()]);
    assert_eq!(next().await, "WELL");
    house.platforms.change(|platforms| platforms[0].lines = vec![failing()]);
    assert_eq!(next().await, "RESTING");
}

#[tokio::test]
async fn whoever_comes_back_is_told_a_state_once_and_what_changed_meanwhile() {
    let house = House::new().await;
    let ask = "subscription($after: String) { platformHealth(after: $after) { place node platforms { health } } }";
    let told = async |after: Value| {
        let mut items = house.schema.execute_stream(House::request(ask, json!({ "after": after })));
        let item = tokio::time::timeout(Duration::from_secs(10), items.next()).await.expect("a state comes").unwrap();
        let mut state = serde_json::to_value(item).unwrap()["data"]["platformHealth"].take();
        (state["place"].take(), state["platforms"][0]["health"].take())
    };
    let (first, health) = told(Value::Null).await;
    assert_eq!(health, "UNTRIED");
    // Nothing has changed: nothing is told before something does.
    let mut waiting = house.schema.execute_stream(House::request(ask, json!({ "after": first })));
    assert!(waiting.next().now_or_never().is_none());
    house.platforms.change(|platforms| platforms[0].lines = vec![failing()]);
    let next = tokio::time::timeout(Duration::from_secs(10), waiting.next()).await.expect("a change is told").unwrap();
    let next = serde_json::to_value(next).unwrap()["data"]["platformHealth"].take();
    assert_eq!(next["platforms"][0]["health"], "RESTING");
    // It has changed while nobody listened: told at once, and not again.
    house.platforms.change(|platforms| platforms[0].lines = vec![LineState::default()]);
    let (last, health) = told(next["place"].clone()).await;
    assert_eq!(health, "WELL");
    assert_ne!(last, next["place"]);
    // Another node's place is none of this one's, however many changes either has seen.
    let other = format!("{}-2", uuid::Uuid::now_v7().simple());
    assert_eq!(told(json!(other)).await, (last.clone(), json!("WELL")));
    let again = house.schema.execute_stream(House::request(ask, json!({ "after": last }))).next().now_or_never();
    assert!(again.is_none(), "{again:?}");
    let mut wrong = house.schema.execute_stream(House::request(ask, json!({ "after": "17" })));
    let wrong = serde_json::to_value(wrong.next().await.unwrap()).unwrap();
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "ARGUMENT_INVALID", "{wrong}");
}

const TEST: &str = "mutation($input: TestPlatformInput!) { testPlatform(input: $input) { clientMutationId position repeated changed key
    answer { model text finishReason simulated durationMs inputTokens outputTokens cost costSource priceList }
    failure { kind message } platform { key health } } }";
const KEY: &str = "sk-schema-5c11f0-never-shown";

/// The house's platform, behind which a server stands that speaks OpenAI's protocol.
async fn connected() -> (House, OpenAiServer) {
    let (house, server) = (House::new().await, OpenAiServer::start([]).await.unwrap());
    let options = Options::new("openai", server.base_url());
    let options = Options { api_key: Some(Secret::new(KEY)), model: Some("m".to_owned()), ..options };
    house.platforms.connect(OpenAi::new(options).unwrap());
    (house, server)
}

#[tokio::test]
async fn a_platform_is_tested_by_one_call() {
    let (house, server) = connected().await;
    let before = house.head().await;
    server.push(Behaviour::reply("ready"));
    let mut told =
        house.data(TEST, json!({ "input": { "key": "openai", "model": "large" } })).await["testPlatform"].take();
    assert!(told["answer"]["durationMs"].take().is_u64());
    let answer = json!({ "model": "test-model", "text": "ready", "finishReason": "stop", "simulated": false,
        "durationMs": null, "inputTokens": 7, "outputTokens": 3, "cost": null, "costSource": "UNPRICED", "priceList": null });
    let expected = json!({ "clientMutationId": null, "position": before, "repeated": false, "changed": false, "key": "openai",
        "answer": answer, "failure": null, "platform": { "key": "openai", "health": "UNTRIED" } });
    assert_eq!(told, expected);
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!((&received[0].json["model"], &received[0].json["max_tokens"]), (&json!("large"), &json!(64)));
    assert_eq!(house.head().await, before, "it is no event");
}

#[tokio::test]
async fn a_test_that_is_repeated_is_not_paid_twice() {
    let (house, server) = connected().await;
    let id = uuid::Uuid::from_u128(9);
    let input = json!({ "input": { "clientMutationId": id, "key": "openai" } });
    // Both at once, of which the second waits for what becomes of the first; and one after them.
    server.set_default(Behaviour::reply("ready").after(Duration::from_millis(50)));
    let (one, two) = tokio::join!(house.data(TEST, input.clone()), house.data(TEST, input.clone()));
    let three = house.data(TEST, input.clone()).await;
    let repeated = [&one, &two, &three].map(|told| &told["testPlatform"]["repeated"]);
    assert_eq!(repeated, [&json!(false), &json!(true), &json!(true)]);
    for told in [&one, &two, &three] {
        let told = &told["testPlatform"];
        assert_eq!((&told["answer"], &told["clientMutationId"]), (&one["testPlatform"]["answer"], &json!(id)));
        assert_eq!(told["answer"]["text"], "ready");
    }
    assert_eq!(server.received().len(), 1);
    // The id is that of this test and of whoever made it.
    let other = json!({ "input": { "clientMutationId": id, "key": "openai", "model": "large" } });
    assert_eq!(house.refusal(TEST, other).await.0, "IDEMPOTENCY_KEY_REUSED");
    let stranger = house.ask_as("somebody", TEST, input).await;
    assert_eq!(stranger["errors"][0]["extensions"]["code"], "IDEMPOTENCY_KEY_REUSED", "{stranger}");
    assert_eq!(server.received().len(), 1);
    // Without an id, each is a new one.
    for _ in 0..2 {
        let told = house.data(TEST, json!({ "input": { "key": "openai" } })).await;
        assert_eq!(told["testPlatform"]["repeated"], false);
    }
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn a_test_that_nobody_waits_for_goes_on_when_it_is_repeated() {
    let (house, server) = connected().await;
    let input = json!({ "input": { "clientMutationId": uuid::Uuid::from_u128(9), "key": "openai" } });
    server.push(Behaviour::reply("ready").after(Duration::from_millis(100)));
    tokio::select! {
        told = house.data(TEST, input.clone()) => panic!("it was too fast: {told}"),
        () = server.wait_received(1) => {}
    }
    let told = house.data(TEST, input).await["testPlatform"].take();
    assert_eq!((&told["repeated"], &told["answer"]["text"]), (&json!(true), &json!("ready")));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn only_the_last_tests_are_remembered() {
    let (house, server) = connected().await;
    server.set_default(Behaviour::reply("x".repeat(1500)));
    let test = async |number: u128| {
        let input = json!({ "clientMutationId": uuid::Uuid::from_u128(number), "key": "openai" });
        house.data(TEST, json!({ "input": input })).await["testPlatform"].take()
    };
    for number in 1..=257 {
        assert_eq!(test(number).await["repeated"], false, "{number}");
    }
    let second = test(2).await;
    assert_eq!(second["repeated"], true);
    assert_eq!(second["answer"]["text"].as_str().unwrap().len(), 1000);
    assert_eq!(test(1).await["repeated"], false, "the oldest is forgotten");
}

#[tokio::test]
async fn a_platform_that_does_not_answer_says_why() {
    let (house, server) = connected().await;
    server.push(Behaviour::unauthorized(KEY));
    let told = house.data(TEST, json!({ "input": { "key": "openai" } })).await["testPlatform"].take();
    assert_eq!((&told["answer"], &told["failure"]["kind"]), (&Value::Null, &json!("unauthorized")));
    let message = told["failure"]["message"].as_str().unwrap();
    assert!(message.starts_with("openai: status 401") && !message.contains(KEY), "{message}");
    server.push(Behaviour::CutStream(1));
    let told = house.data(TEST, json!({ "input": { "key": "openai" } })).await["testPlatform"].take();
    assert_eq!((&told["answer"], &told["failure"]["kind"]), (&Value::Null, &json!("malformed_reply")));
}

#[tokio::test]
async fn nobody_is_no_platform() {
    let (house, server) = connected().await;
    let (code, message) = house.refusal(TEST, json!({ "input": { "key": "nobody" } })).await;
    assert_eq!((&*code, &*message), ("PLATFORM_NOT_FOUND", "there is no platform `nobody`; there are: openai"));
    house.platforms.change(Vec::clear);
    let (code, message) = house.refusal(TEST, json!({ "input": { "key": "openai" } })).await;
    assert_eq!((&*code, &*message), ("PLATFORM_NOT_FOUND", "there is no platform `openai`; none is configured"));
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn a_request_makes_few_tests() {
    let (house, server) = connected().await;
    let many = |count: usize| {
        let tests = (0..count).map(|number| format!("t{number}: testPlatform(input: {{ key: \"openai\" }}) {{ key }}"));
        format!("mutation {{ {} }}", tests.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(house.ask(&many(20), json!({})).await["errors"][0]["message"], "Query is too complex.");
    assert_eq!(server.received().len(), 0);
    server.set_default(Behaviour::reply("ready"));
    house.data(&many(19), json!({})).await;
    assert_eq!(server.received().len(), 19);
}
