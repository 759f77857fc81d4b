use std::time::Duration;

use providers::{Behaviour, Failure, FailureKind, Platform, Request, Simulator};

use crate::collect;

#[tokio::test]
async fn is_open_about_it() {
    let simulator = Simulator::default();
    let request = Request { system: Some("Be brief.".into()), ..Request::new("\n  Summarise this.\nSecond line") };
    let reply = simulator.execute(request.clone()).await.unwrap();
    assert!(reply.text.starts_with(Simulator::LABEL) && reply.text.contains("Summarise this."), "{}", reply.text);
    assert!(reply.simulated && simulator.simulated());
    assert_eq!(reply.model, "simulated");
    assert_eq!((reply.usage.input, reply.cost), (Some(6), Some(0)));
    let (_, streamed) = collect(&simulator, request).await;
    assert_eq!(streamed.unwrap().text, reply.text);
    assert_eq!(simulator.calls(), 2);
}

#[tokio::test]
async fn echoes_json() {
    let simulator = Simulator::builder().key("echo").echo_json().build();
    let reply = simulator.execute(Request::new("say \"hi\"")).await.unwrap();
    let value: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(value, serde_json::json!({ "simulated": true, "system": null, "user": "say \"hi\"" }));
    assert_eq!(simulator.key(), "echo");
}

#[tokio::test]
async fn whoever_asks_for_json_gets_the_least_that_fits() {
    let schema = serde_json::json!({ "type": "object", "required": ["text", "maybe", "list", "two", "mark", "kind", "is", "either"],
        "properties": {
            "text": { "type": "string" }, "maybe": { "type": ["string", "null"] },
            "list": { "type": "array", "items": { "type": "string" } },
            "two": { "type": "array", "minItems": 2, "items": { "const": 7 } },
            "mark": { "type": "number", "minimum": 1 }, "kind": { "enum": ["low", "high"] }, "is": { "type": "boolean" },
            "either": { "anyOf": [{ "type": "integer" }, { "type": "string" }] }, "optional": { "type": "string" },
        } });
    let output = Some(providers::OutputSchema { name: "output".into(), schema });
    let simulator = Simulator::default();
    assert_eq!(simulator.capabilities("simulated").schema, Some(true));
    let reply = simulator.execute(Request { output, ..Request::new("Do it.") }).await.unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
    let text = value["text"].take();
    assert!(
        text.as_str().unwrap().starts_with(Simulator::LABEL) && text.as_str().unwrap().contains("Do it."),
        "{text}"
    );
    let rest = serde_json::json!({ "text": null, "maybe": null, "list": [], "two": [7, 7], "mark": 1, "kind": "low", "is": false,
        "either": 0 });
    assert_eq!(value, rest);
}

#[tokio::test]
async fn follows_its_script() {
    let busy = Failure::new(FailureKind::RateLimited, "busy").after(Some(Duration::from_secs(1)));
    let script = {
        let busy = busy.clone();
        move |request: &Request, call: u32| match (request.user.as_str(), call) {
            ("hang", _) => Behaviour::Hang,
            ("say", _) => Behaviour::Say("so".into()),
            (_, 1 | 2) => Behaviour::Fail(busy.clone()),
            _ => Behaviour::Answer,
        }
    };
    let simulator = Simulator::builder().latency(Duration::from_millis(3)).script(script).build();
    for user in ["a", "b"] {
        for _ in 0..2 {
            assert_eq!(simulator.execute(Request::new(user)).await, Err(busy.clone()));
        }
        assert!(simulator.execute(Request::new(user)).await.is_ok());
    }
    assert_eq!(simulator.execute(Request::new("say")).await.unwrap().text, "[simulated] so");
    let hang =
        simulator.execute(Request { timeout: Duration::from_millis(9), ..Request::new("hang") }).await.unwrap_err();
    assert_eq!(hang.kind, FailureKind::Timeout);
    let hurried = Request { timeout: Duration::from_millis(1), ..Request::new("a") };
    assert_eq!(simulator.execute(hurried).await.unwrap_err().kind, FailureKind::Timeout);
}
