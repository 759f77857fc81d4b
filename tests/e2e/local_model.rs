//! A ready-made workflow on a model that runs in the program itself: with the feature `local-model`, and the GGUF file that
//! `./dev test` fetches and names in `HISHAMOS_TEST_GGUF`.

use serde_json::Value;

use crate::program::Home;

#[test]
fn the_welcome_workflow_runs_on_a_model_within_the_program() {
    let Some(model) = std::env::var_os("HISHAMOS_TEST_GGUF") else {
        eprintln!("skipped: HISHAMOS_TEST_GGUF names no GGUF file; `./dev test` fetches one");
        return;
    };
    let home = Home::new();
    let models = home.data().join("models");
    std::fs::create_dir_all(&models).unwrap();
    std::os::unix::fs::symlink(model, models.join("model.gguf")).unwrap();

    let ended = home.run(&["up", "--once", "--port", "0"]).expect(0);
    let out = ended.out();
    assert!(out.contains("✓ briefing") && out.contains("completed in"), "{}", ended.all());
    assert!(!out.contains("[simulated]"), "a model has answered: {}", ended.all());

    let log = home.run(&["audit", "log", "--type", "task.attempt_succeeded", "--json"]).expect(0).out();
    let replies: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(replies.len(), 3, "one answer for each step: {log}");
    for reply in &replies {
        let reply = &reply["data"]["reply"];
        assert!(reply["text"].as_str().is_some_and(|text| !text.trim().is_empty()), "{reply}");
        assert!(reply["usage"]["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{reply}");
        assert_eq!(reply["simulated"], false, "{reply}");
    }
}
