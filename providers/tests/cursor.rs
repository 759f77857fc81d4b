//! Cursor's cloud agents against a double of their API over real HTTP; no account of Cursor's can be had here.

use std::time::Duration;

use bytes::Bytes;
use providers::cursor::{Options, Repository};
use providers::{
    CostSource, Cursor, Failure, FailureKind, Finish, Image, OutputSchema, Platform, Reply, Request, Secret, State,
    Tool, http,
};
use serde_json::json;
use testkit::cursor::{CursorServer, Fault, Look, RESULT};

use crate::collect;

const KEY: &str = "crsr_0123456789abcdef";

fn options(server: &CursorServer) -> Options {
    let http = http::Options { api_key: Some(Secret::new(KEY)), ..http::Options::new("cursor", server.base_url()) };
    // Looks come as fast as the double answers; real ones are seconds apart.
    let (first_look, longest_pause) = (Duration::from_millis(1), Duration::from_millis(4));
    Options { first_look, longest_pause, failed_looks: 5, ..Options::new(http) }
}

fn repository() -> Option<Repository> {
    Some(Repository {
        url: "https://github.com/your-org/your-repo".to_owned(),
        starting_ref: Some("main".to_owned()),
        pull_request: true,
        same_branch: false,
    })
}

async fn start() -> (CursorServer, Cursor) {
    let server = CursorServer::start(KEY).await.unwrap();
    let cursor = Cursor::new(Options { repository: repository(), ..options(&server) }).unwrap();
    (server, cursor)
}

async fn fails(cursor: &Cursor) -> Failure {
    cursor.execute(Request::new("Add a README")).await.unwrap_err()
}

fn assert_used(reply: &Reply) {
    assert_eq!(
        (reply.usage.input, reply.usage.cached_input, reply.usage.output),
        (Some(38_560), Some(21_300), Some(1660))
    );
    assert_eq!((reply.cost, &reply.cost_source), (None, &CostSource::Unpriced), "what is not told is not nothing");
}

#[tokio::test]
async fn an_agent_is_launched_followed_and_its_work_collected() {
    let (server, cursor) = start().await;
    server.plan([Look::Status("CREATING"), Look::Status("RUNNING"), Look::Status("FINISHED")]);
    let request = Request {
        system: Some("You write documentation.".into()),
        model: Some("composer-2".into()),
        images: vec![Image::Bytes { media_type: "image/png".into(), data: Bytes::from_static(b"png") }],
        ..Request::new("Add a README")
    };
    let reply = cursor.execute(request).await.unwrap();
    let links = "Branch cursor/add-readme-a1b2 of github.com/your-org/your-repo, pull request https://github.com/your-org/your-repo/pull/123";
    assert_eq!(reply.text, format!("{RESULT}\n\n{links}"));
    assert_eq!((&reply.finish, reply.model.as_str(), reply.simulated), (&Finish::Stop, "composer-2", false));
    assert_used(&reply);
    let kept = reply.raw_usage.unwrap();
    assert_eq!(kept["git"]["branches"][0]["prUrl"], json!("https://github.com/your-org/your-repo/pull/123"));
    assert_eq!(kept["usage"]["inputTokens"], json!(6160));
    let agents = server.agents();
    let (name, wish) = agents.iter().next().unwrap();
    assert_eq!(
        wish,
        &json!({
            "prompt": { "text": "You write documentation.\n\nAdd a README", "images": [{ "data": "cG5n", "mimeType": "image/png" }] },
            "agentId": name, "model": { "id": "composer-2" },
            "repos": [{ "url": "https://github.com/your-org/your-repo", "startingRef": "main" }],
            "autoCreatePR": true, "workOnCurrentBranch": false,
        })
    );
    assert_eq!(kept["agent"], json!(format!("https://cursor.com/agents/{name}")));
    assert!(server.received().iter().all(|request| request.header("authorization") == Some(&*format!("Bearer {KEY}"))));
    assert_eq!(server.cancelled(), Vec::<String>::new());
}

#[tokio::test]
async fn what_must_be_json_stays_json_and_without_a_repository_it_only_thinks() {
    let server = CursorServer::start(KEY).await.unwrap();
    let cursor = Cursor::new(options(&server)).unwrap();
    let (text, reply) = collect(&cursor, Request::new("Think")).await;
    let reply = reply.unwrap();
    assert_eq!((text.as_str(), reply.model.as_str()), (RESULT, "default"));
    assert_used(&reply);
    let agents = server.agents();
    let wish = agents.values().next().unwrap();
    assert!(wish.get("repos").is_none() && wish.get("model").is_none() && wish.get("autoCreatePR").is_none(), "{wish}");

    let (server, cursor) = start().await;
    let schema = OutputSchema { name: "output".into(), schema: json!({ "type": "object" }) };
    let reply = cursor.execute(Request { output: Some(schema), ..Request::new("Think") }).await.unwrap();
    assert_eq!(reply.text, RESULT, "no link is added");
    server.plan([Look::Finished(Some("{\"a\": 1}".to_owned()))]);
    assert_eq!(cursor.execute(Request::new("Think more")).await.unwrap().text, "{\"a\": 1}");
}

#[tokio::test]
async fn what_it_has_no_words_for_is_refused_before_anything_is_launched() {
    let (server, cursor) = start().await;
    let tool = Tool { name: "t".into(), description: String::new(), parameters: json!({}) };
    let with_tool = Request { tools: vec![tool], ..Request::new("x") };
    let pictures = Request { images: vec![Image::Url("https://x/y.png".into()); 6], ..Request::new("x") };
    for request in [with_tool, pictures, Request { stop: vec!["a".into()], ..Request::new("x") }] {
        assert_eq!(cursor.execute(request).await.unwrap_err().kind, FailureKind::InvalidRequest);
    }
    assert!(server.received().is_empty());
    let http = http::Options::new("cursor", server.base_url());
    let without = Cursor::new(Options::new(http)).unwrap();
    assert!(without.unusable().unwrap().contains("CURSOR_API_KEY"));
    assert_eq!(fails(&without).await.kind, FailureKind::Unauthorized);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_wrong_without_showing_it() {
    let server = CursorServer::start("another").await.unwrap();
    let cursor = Cursor::new(options(&server)).unwrap();
    let failure = fails(&cursor).await;
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    assert!(failure.message.starts_with("cursor: status 401") && !failure.message.contains(KEY), "{failure}");
    assert_eq!(server.received().len(), 1, "nothing is repeated");
    assert_eq!(cursor.probe().await.unwrap_err().kind, FailureKind::Unauthorized);
    assert_eq!(cursor.health().await.state, State::Unusable);
    assert!(!format!("{cursor:?}").contains(KEY));
}

#[tokio::test]
async fn launching_is_refused_in_its_own_words_and_never_repeated() {
    let (server, cursor) = start().await;
    for (fault, kind) in [
        (Fault::rate_limited("7"), FailureKind::RateLimited),
        (Fault::error(400, "validation_error", "Unknown model"), FailureKind::InvalidRequest),
        (Fault::error(403, "plan_required", "Your plan has no agents"), FailureKind::Unauthorized),
        (Fault::error(500, "internal_error", "It broke"), FailureKind::PlatformFailure),
    ] {
        server.fail_launch(fault, false);
        let failure = fails(&cursor).await;
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(failure.retry_after, (kind == FailureKind::RateLimited).then_some(Duration::from_secs(7)));
    }
    assert!(server.agents().is_empty());
    let launches = server.received().iter().filter(|request| request.method == "POST").count();
    assert_eq!(launches, 4);
}

#[tokio::test]
async fn looks_that_fail_are_no_failure_of_the_agent() {
    let (server, cursor) = start().await;
    server.plan([
        Look::Fault(Fault::rate_limited("0")),
        Look::Status("RUNNING"),
        Look::Fault(Fault::error(503, "unavailable", "Later")),
        Look::Fault(Fault::web_page()),
        Look::Fault(Fault::Cut),
        Look::Status("A_WORD_OF_TOMORROW"),
        Look::Finished(None),
        Look::Finished(Some("Done.".to_owned())),
    ]);
    let reply = cursor.execute(Request::new("Add a README")).await.unwrap();
    assert!(reply.text.starts_with("Done.\n\nBranch "), "{}", reply.text);
    assert_eq!(server.agents().len(), 1);
}

#[tokio::test]
async fn many_in_a_row_are_and_the_agent_is_cancelled() {
    for (fault, kind) in [
        (Fault::web_page(), FailureKind::MalformedReply),
        (Fault::error(500, "internal_error", "It broke"), FailureKind::PlatformFailure),
        (Fault::rate_limited("0"), FailureKind::RateLimited),
        (Fault::error(401, "unauthorized", "The key was revoked"), FailureKind::Unauthorized),
    ] {
        let (server, cursor) = start().await;
        server.plan([Look::Status("RUNNING"), Look::Fault(fault)]);
        let failure = fails(&cursor).await;
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(server.cancelled().len(), 1, "{failure}");
        let used = failure.consumed.unwrap();
        assert_eq!((used.usage.output, used.cost), (Some(1660), None));
    }
}

#[tokio::test]
async fn each_other_end_of_a_run_has_its_meaning() {
    for (status, kind, said) in [
        ("ERROR", FailureKind::PlatformFailure, "ended in an error"),
        ("EXPIRED", FailureKind::PlatformFailure, "has expired"),
        ("CANCELLED", FailureKind::InvalidRequest, "somebody has cancelled"),
    ] {
        let (server, cursor) = start().await;
        server.plan([Look::Status("RUNNING"), Look::Status(status)]);
        let failure = fails(&cursor).await;
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(
            failure.message.contains(said) && failure.message.contains("https://cursor.com/agents/bc-"),
            "{failure}"
        );
        let used = failure.consumed.unwrap();
        assert_eq!((used.usage.output, used.cost), (Some(1660), None), "it has to be paid for all the same");
        assert_eq!(used.cost_source, CostSource::Unpriced);
        assert!(used.raw_usage.is_some_and(|raw| raw.to_string().contains("1660")), "and word for word");
        assert!(server.cancelled().is_empty());
    }
    let (server, cursor) = start().await;
    server.plan([Look::Finished(None)]);
    assert_eq!(fails(&cursor).await.kind, FailureKind::MalformedReply, "no silence passes for an answer");
    assert!(server.cancelled().is_empty());
}

#[tokio::test]
async fn one_that_never_ends_is_cancelled_when_the_time_is_up() {
    let (server, cursor) = start().await;
    server.plan([Look::Status("RUNNING")]);
    let request = Request { timeout: Duration::from_millis(300), ..Request::new("Add a README") };
    let failure = cursor.execute(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!((server.cancelled().len(), failure.consumed.unwrap().usage.output), (1, Some(1660)));
}

#[tokio::test]
async fn whoever_stops_waiting_cancels_it() {
    let (server, cursor) = start().await;
    server.plan([Look::Status("RUNNING")]);
    let waiting = cursor.execute(Request::new("Add a README"));
    tokio::select! {
        outcome = waiting => panic!("{outcome:?}"),
        () = server.wait_looked(2) => {}
    }
    server.wait_cancelled(1).await;
    assert_eq!(server.agents().keys().collect::<Vec<_>>(), server.cancelled().iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_agent_of_which_the_launch_told_nothing_does_not_work_on_unseen() {
    for fault in [Fault::Cut, Fault::web_page(), Fault::error(502, "bad_gateway", "Nobody knows")] {
        let (server, cursor) = start().await;
        server.plan([Look::Status("RUNNING")]);
        server.fail_launch(fault, true);
        fails(&cursor).await;
        assert_eq!((server.agents().len(), server.cancelled().len()), (1, 1));
    }
}

#[tokio::test]
async fn whoever_asks_with_the_token_of_a_lost_call_follows_its_agent() {
    let (server, cursor) = start().await;
    let request = Request { token: Some([7; 16]), ..Request::new("Add a README") };
    server.plan([Look::Status("RUNNING")]);
    let lost = tokio::spawn({
        let (request, cursor) =
            (request.clone(), Cursor::new(Options { repository: repository(), ..options(&server) }).unwrap());
        async move { cursor.execute(request).await }
    });
    server.wait_looked(1).await;
    // The process is gone: nothing is cancelled, because nothing runs any more that could.
    let agents = server.agents();
    server.plan([Look::Status("FINISHED")]);
    let second = tokio::spawn({
        let (request, cursor) = (request.clone(), cursor.clone());
        async move { cursor.execute(request).await }
    });
    server.wait_looked(6).await;
    assert_eq!(server.agents(), agents, "no second agent was launched");
    second.abort();
    lost.abort();
    server.wait_cancelled(1).await;
    // Whose agent has failed gets another, and whoever asks again finds that one.
    for _ in 0..2 {
        let reply = cursor.execute(request.clone()).await.unwrap();
        assert!(reply.text.starts_with(RESULT));
        assert_eq!(server.agents().len(), 2);
    }
    let other = Request { token: Some([8; 16]), ..request };
    cursor.execute(other).await.unwrap();
    assert_eq!(server.agents().len(), 3, "another token is another asking");
}

#[tokio::test]
async fn it_says_whose_key_it_has_and_which_models_there_are() {
    let (_server, cursor) = start().await;
    let health = cursor.health().await;
    assert_eq!(
        (health.state, health.detail.as_str()),
        (State::Ready, "it answers to the key `For tests` of tests@example.com")
    );
    cursor.probe().await.unwrap();
    let models = cursor.models().await.unwrap();
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["composer-2", "gpt-5"]);
    let nowhere =
        http::Options { api_key: Some(Secret::new(KEY)), ..http::Options::new("cursor", "http://127.0.0.1:1") };
    let nowhere = Cursor::new(Options::new(nowhere)).unwrap();
    assert_eq!(fails(&nowhere).await.kind, FailureKind::Unreachable);
}
