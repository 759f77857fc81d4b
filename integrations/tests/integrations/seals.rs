//! Seals that are kept outside: in a bucket of an S3 service by other authors (moto), and by a web hook.

use std::sync::Arc;
use std::time::Duration;

use domain::NodeId;
use integrations::seals::{BucketKeys, BucketOptions, Lock, SealBucket, SealHook};
use journal::seal::{Kept, KeyFile, Options, Outside, OutsideFile, Service};
use journal::{Executor, Members, MemoryCheckpoints};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use testkit::Peer;
use testkit::webhooks::{HookReceiver, Reply, others_believe};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::Stage;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";
const VALID: Duration = Duration::from_secs(60);

/// The statements of a journal that was sealed at least so often, in their order.
async fn sealed(seals: usize) -> Vec<Kept> {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seals.jsonl");
    let mut options = Options::new(KeyFile::new(folder.path().join("seal.key")));
    (options.every, options.within) = (1, Duration::from_millis(5));
    options.outside = Some(Arc::new(OutsideFile::new(&path)));
    let members = Members::alone(NodeId::from_uuid(Uuid::now_v7()));
    let checkpoints = Arc::new(MemoryCheckpoints::default());
    let (service, handle) = Service::new(options, Executor::new(Arc::clone(&stage.journal)), checkpoints, members);
    let stop = CancellationToken::new();
    let task = tokio::spawn(service.run(stop.clone()));
    for _ in 0..seals {
        stage.start_run().await;
        let head = stage.journal.head().await.unwrap().as_u64();
        while handle.status().sealed < head {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    stop.cancel();
    task.await.unwrap();
    let kept = OutsideFile::read(&path).await.unwrap();
    assert!(kept.len() > seals, "{}", kept.len());
    kept
}

fn options(endpoint: &str, prefix: &str, lock: Option<Lock>) -> BucketOptions {
    let (endpoint, region, bucket) = (endpoint.to_owned(), "us-east-1".to_owned(), "archive".to_owned());
    BucketOptions { endpoint, region, bucket, prefix: prefix.to_owned(), lock }
}

fn keys() -> BucketKeys {
    BucketKeys { access_key: "testing".to_owned(), secret_key: "s3cr3t-key".to_owned(), session_token: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_every_statement_locked_and_goes_on_where_it_was() {
    let s3 = Peer::moto().await;
    let place = || SealBucket::new(options(&s3.url, "/seals/", Some(Lock { compliance: true, days: 30 })), keys());
    let place_now = place().unwrap();
    let credentials = Credentials::new("testing", "s3cr3t-key");
    let bucket = Bucket::new(s3.url.parse().unwrap(), UrlStyle::Path, "archive", "us-east-1").unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut create = bucket.create_bucket(&credentials);
    create.headers_mut().insert("x-amz-bucket-object-lock-enabled", "true");
    let create =
        client.put(create.sign(VALID)).header("x-amz-bucket-object-lock-enabled", "true").header("content-length", 0);
    let created = create.send().await.unwrap();
    assert!(created.status().is_success(), "{}", created.text().await.unwrap());

    let kept = sealed(20).await;
    assert_eq!(place_now.next().await.unwrap(), 0);
    for known in 1..=kept.len() {
        place_now.keep(&kept[known - 1..known]).await.unwrap();
        // Another process finds how far it is.
        assert_eq!(place().unwrap().next().await.unwrap(), known as u64);
    }
    // Once more is no harm.
    place_now.keep(&kept[..2]).await.unwrap();

    // What is there is a line of the file that `audit verify --seals` reads, and nobody may remove it.
    let mut lines = String::new();
    for kept in &kept {
        let object = format!("seals/{:012}.json", kept.revision);
        let got = client.get(bucket.get_object(Some(&credentials), &object).sign(VALID)).send().await.unwrap();
        assert_eq!(got.headers()["x-amz-object-lock-mode"], "COMPLIANCE");
        let until = got.headers()["x-amz-object-lock-retain-until-date"].to_str().unwrap();
        let until: jiff::Timestamp = until.parse().unwrap();
        let days = until.duration_since(jiff::Timestamp::now()).as_hours() / 24;
        assert!((29..=30).contains(&days), "{until}");
        lines.push_str(&got.text().await.unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seals.jsonl");
    std::fs::write(&path, lines).unwrap();
    assert_eq!(OutsideFile::read(&path).await.unwrap(), kept);
    let mut versions = bucket.delete_object(Some(&credentials), "seals/000000000000.json");
    let listed = client.get(format!("{}/archive?versions", s3.url)).send().await.unwrap().text().await.unwrap();
    let version = listed.split("<VersionId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    versions.query_mut().insert("versionId", version);
    let removed = client.delete(versions.sign(VALID)).send().await.unwrap();
    assert_eq!(removed.status(), 403, "a locked object was removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_fails_is_named_without_what_is_secret() {
    let s3 = Peer::moto().await;
    let nowhere = SealBucket::new(options("http://127.0.0.1:9", "", None), keys()).unwrap();
    let kept = sealed(1).await;
    let missing = SealBucket::new(options(&s3.url, "", None), keys()).unwrap();
    for (error, expected) in
        [(nowhere.next().await.unwrap_err(), "refused"), (missing.keep(&kept).await.unwrap_err(), "NoSuchBucket")]
    {
        let said = format!("{error} {error:?}");
        assert!(said.contains("s3://archive/") && said.contains(expected), "{said}");
        assert!(!said.contains("s3cr3t-key") && !said.contains("X-Amz-Signature"), "{said}");
    }
    assert!(SealBucket::new(options("no url", "", None), keys()).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_hook_is_told_every_statement_signed_and_in_order() {
    let kept = sealed(3).await;
    // The second is refused at first.
    let receiver = HookReceiver::start(|received| Reply::status(if received.number == 1 { 503 } else { 200 }));
    let checkpoints = Arc::new(MemoryCheckpoints::default());
    let url = receiver.url("/seals?token=t0k3n");
    let place = || SealHook::new(&url, SECRET, Arc::clone(&checkpoints) as _).unwrap();
    let error = place().keep(&kept).await.unwrap_err().to_string();
    assert!(error.contains("503") && !error.contains("t0k3n"), "{error}");
    // It goes on with the one that was refused, also in another process.
    let next = place().next().await.unwrap();
    assert_eq!(next, 1);
    place().keep(&kept[1..]).await.unwrap();
    assert_eq!(place().next().await.unwrap(), kept.len() as u64);
    let mut told = Vec::new();
    for _ in 0..=kept.len() {
        let received = receiver.next();
        assert!(others_believe(SECRET, &received), "{received:?}");
        let message = received.json();
        assert_eq!(message["type"], "seal.kept");
        let statement: Kept = serde_json::from_value(message["data"].clone()).unwrap();
        assert_eq!(received.header("webhook-id"), format!("seal_{}", statement.revision));
        told.push(statement);
    }
    told.remove(1);
    assert_eq!(told, kept);
    assert!(SealHook::new("no url", SECRET, Arc::clone(&checkpoints) as _).is_err());
    assert!(SealHook::new(&url, "whsec_c2hvcnQ=", checkpoints).is_err());
}
