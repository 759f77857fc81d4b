//! Subscribing, changing and taking away.

use std::collections::BTreeSet;

use commands::webhooks::{Keys, Reach, WebhookSetup};
use commands::{Commands, Request};
use domain::webhook::{Topic, WebhookSettings};
use domain::{Actor, CommandId, WebhookId};
use uuid::Uuid;

use crate::stage::{Stage, me, settings};

fn url() -> String {
    "https://hooks.example/x".to_owned()
}

#[tokio::test]
async fn a_repeated_command_is_one_webhook_with_one_secret() {
    let stage = Stage::new();
    let request =
        Request { command: Some(CommandId::from_uuid(Uuid::from_u128(5))), ..Request::by(Actor::person("ada")) };
    let first = stage.commands.subscribe_webhook(request.clone(), settings(url(), &[Topic::RunFailed])).await.unwrap();
    let again = stage.commands.subscribe_webhook(request, settings(url(), &[Topic::RunFailed])).await.unwrap();
    assert_eq!((first.id, first.secret.reveal()), (again.id, again.secret.reveal()));
    assert!(again.outcome.repeated && stage.commands.webhooks().await.unwrap().len() == 1);
    let other = stage.commands.subscribe_webhook(me(), settings(url(), &[Topic::RunFailed])).await.unwrap();
    assert!(other.id != first.id && other.secret != first.secret);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let stage = Stage::new();
    let wrong = [
        (settings(url(), &[]), "at least one"),
        (settings(url(), &[Topic::Test]), "webhook.test"),
        (settings("https://x y/".to_owned(), &[Topic::RunFailed]), "url"),
        (settings("ftp://x/".to_owned(), &[Topic::RunFailed]), "ftp"),
        (settings(format!("https://x/{}", "y".repeat(3000)), &[Topic::RunFailed]), "2048"),
        (WebhookSettings { description: "x".repeat(2000), ..settings(url(), &[Topic::RunFailed]) }, "description"),
    ];
    for (settings, what) in wrong {
        let refused = stage.commands.subscribe_webhook(me(), settings).await.unwrap_err();
        assert_eq!(refused.code(), "WEBHOOK_INVALID");
        assert!(refused.to_string().contains(what), "{refused}");
    }
    let off = Commands::new(std::sync::Arc::clone(&stage.journal));
    let refused = off.subscribe_webhook(me(), settings(url(), &[Topic::RunFailed])).await.unwrap_err();
    assert_eq!(refused.code(), "WEBHOOKS_OFF");
    let nobody = WebhookId::from_uuid(Uuid::nil());
    assert_eq!(
        stage.commands.pause_webhook(me(), nobody, String::new()).await.unwrap_err().code(),
        "WEBHOOK_NOT_FOUND"
    );
    assert_eq!(stage.commands.delete_webhook(me(), nobody).await.unwrap_err().code(), "WEBHOOK_NOT_FOUND");
}

#[tokio::test]
async fn it_can_be_steered_and_goes_for_good() {
    let stage = Stage::new();
    let hook = stage.commands.subscribe_webhook(me(), settings(url(), &[Topic::RunFailed])).await.unwrap();
    let wanted = settings("https://hooks.example/y".to_owned(), &[Topic::RunStarted]);
    assert!(stage.commands.change_webhook(me(), hook.id, wanted.clone()).await.unwrap().changed);
    assert!(!stage.commands.change_webhook(me(), hook.id, wanted).await.unwrap().changed);
    stage.commands.pause_webhook(me(), hook.id, "why".to_owned()).await.unwrap();
    assert_eq!(stage.commands.test_webhook(me(), hook.id).await.unwrap_err().code(), "WEBHOOK_NOT_ACTIVE");
    stage.commands.resume_webhook(me(), hook.id).await.unwrap();
    let known = stage.commands.webhook(hook.id).await.unwrap();
    assert_eq!(known.settings().unwrap().topics, BTreeSet::from([Topic::RunStarted]));
    assert!(stage.commands.delete_webhook(me(), hook.id).await.unwrap().changed);
    assert!(!stage.commands.delete_webhook(me(), hook.id).await.unwrap().changed);
    assert_eq!(stage.commands.resume_webhook(me(), hook.id).await.unwrap_err().code(), "WEBHOOK_NOT_FOUND");
    assert!(stage.commands.webhooks().await.unwrap().is_empty());
}

#[tokio::test]
async fn no_secret_is_in_an_event_and_another_key_is_told() {
    let stage = Stage::new();
    let hook = stage.commands.subscribe_webhook(me(), settings(url(), &[Topic::RunFailed])).await.unwrap();
    let told = format!("{:?}", stage.events().await);
    assert!(!told.contains(&hook.secret.reveal()) && !told.contains("whsec"), "{told}");
    let setup = WebhookSetup { keys: Keys::new(&[8; 32]), reach: Reach::default() };
    let other = Commands::new(std::sync::Arc::clone(&stage.journal)).with_webhooks(setup);
    let keys = &other.webhook_setup().unwrap().keys;
    let signing = other.webhook(hook.id).await.unwrap().signing(commands::now());
    assert!(keys.secret(hook.id, signing[0]).is_err());
    let (secret, _) = other.rotate_webhook(me(), hook.id, std::time::Duration::ZERO).await.unwrap();
    assert_ne!(secret, hook.secret);
}
