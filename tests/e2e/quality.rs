//! How good an answer is, from the command line: it is revised, judged and rated, and the judge is held against people.

use serde_json::{Value, json};
use testkit::openai::{Behaviour, OpenAiServer, Received};

use crate::program::{Home, until};

const CLERK: &str = "key: clerk\nname: Clerk\ndescription: Writes notes.\nsystem_prompt: You write notes.\n";
const JUDGE: &str = "key: judge\nname: Judge\ndescription: Judges.\nsystem_prompt: You judge.\nself_review: false\n";
const NOTE: &str = "key: note
title: A note
description: A note about something.
department: office
parameters:
  type: object
  required: [about]
  properties:
    about: { type: string }
instructions: Write a note about {{ about }}.
checklist:
  - text: It has eight words
    check: { min_words: 8 }
  - text: It is friendly
";
const NOTES: &str = "key: notes
name: Notes
description: One note.
department: office
input_schema:
  type: object
  required: [about]
  properties:
    about: { type: string }
steps:
  - name: note
    title: Write it
    agent: clerk
    template: note
    input:
      about: input.about
";

/// An answer in the form that is asked for.
fn whole(results: &str) -> Behaviour {
    Behaviour::reply(format!(
        "## Summary\nA note.\n\n## Results\n{results}\n\n## Suggested improvements\nNone\n\n## Critique\nNone\n\n\
         ## Alternatives\nNone\n\n## Action items\nNone\n\n## Quality\nscore: 7/10"
    ))
}

fn answer(asked: &Received) -> Behaviour {
    let last = asked.json["messages"].as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
    let said = last["content"].to_string();
    if said.contains("Judge a piece of work") {
        Behaviour::reply("{\"reason\": \"It says what it should.\", \"score\": 8}")
    } else if said.contains("Review that answer as its critic") {
        whole("The office moves on the third of May, so pack by noon.")
    } else {
        whole("Pack by noon.")
    }
}

#[test]
fn an_answer_is_revised_judged_and_rated_and_the_judge_is_measured() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let platform = runtime.block_on(OpenAiServer::start([])).unwrap();
    platform.set_default(Behaviour::Of(answer));
    let home = Home::new();
    for (file, text) in
        [("agents/clerk", CLERK), ("agents/judge", JUDGE), ("templates/note", NOTE), ("workflows/notes", NOTES)]
    {
        home.write(&format!("ours/{file}.yaml"), text);
    }
    let url = platform.base_url();
    home.write(
        "hishamos.toml",
        format!(
            "[platforms.double]\nkind = \"openai\"\nbase_url = \"{url}\"\napi_key = \"sk-test\"\nmodel = \"test-model\"\n\n\
             [judge]\nagents = [\"judge\"]\n"
        ),
    );
    let server = home.serve(&[]);
    let loaded = home.run(&["catalog", "load", "ours"]);
    assert!(loaded.0.status.success(), "{}", String::from_utf8_lossy(&loaded.0.stderr));
    let run = home.run(&["run", "notes", "--input", "about=the move", "--output", "last", "--watch", "--json"]);
    assert!(
        run.0.status.success(),
        "{}{}",
        String::from_utf8_lossy(&run.0.stdout),
        String::from_utf8_lossy(&run.0.stderr)
    );
    let runs = server.ask("{ runs(first: 20, filter: { workflow: \"notes\" }) { nodes { runId } } }", json!({}));
    let run = runs["runs"]["nodes"][0]["runId"].as_str().unwrap().to_owned();
    let show = || -> Value { serde_json::from_slice(&home.run(&["show", &run, "--json"]).0.stdout).unwrap() };
    let judged = until("the judge", || {
        let task = show()["steps"][0]["task"].take();
        (task["quality"]["source"] == "JUDGE").then_some(task)
    });
    assert_eq!((&judged["quality"]["score"], &judged["attempts"].as_array().unwrap().len()), (&json!(8.0), &2));
    let review = &judged["review"];
    assert_eq!((&review["rounds"], &review["gain"]), (&json!(1), &json!(2.25)));
    assert_eq!(review["versions"][1]["counts"], true);

    let task = judged["taskId"].as_str().unwrap();
    let rated = home.run(&["rate", task, "6", "--comment", "Say where to.", "--json"]);
    let rated: Value = serde_json::from_slice(&rated.0.stdout).unwrap();
    assert_eq!((&rated["changed"], &rated["task"]["quality"]["source"]), (&json!(true), &json!("PEOPLE")));
    assert_eq!(home.run(&["rate", task, "11"]).0.status.code(), Some(2));
    let told = String::from_utf8(home.run(&["show", &run]).0.stdout).unwrap();
    assert!(told.contains("quality 6.0 (checks 7.8 of 4, judge 8.0 of 3, people 6.0 of 1)"), "{told}");
    assert!(told.contains("1 revision (gain +2.2)") && told.contains("attempt 2, a revision"), "{told}");

    let calibrated = until("the read model", || {
        let answer = home.run(&["quality", "calibration", "--json"]);
        let answer: Value = serde_json::from_slice(&answer.0.stdout).unwrap();
        answer["all"].is_object().then_some(answer)
    });
    let all = &calibrated["all"];
    assert_eq!((&all["count"], &all["bias"], &all["absoluteError"]), (&json!(1), &json!(2.0), &json!(2.0)));
    assert_eq!((&all["pearson"], &calibrated["models"][0]["model"]), (&Value::Null, &json!("test-model")));
    let told = String::from_utf8(home.run(&["quality", "calibration"]).0.stdout).unwrap();
    assert!(told.contains("test-model") && told.contains("+2.00"), "{told}");
    let before = home.run(&["quality", "calibration", "--as-of", "1", "--json"]);
    let before: Value = serde_json::from_slice(&before.0.stdout).unwrap();
    assert_eq!((&before["all"], &before["position"]), (&Value::Null, &json!("1")));
    let then = home.run(&["quality", "calibration", "--as-of", calibrated["position"].as_str().unwrap(), "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&then.0.stdout).unwrap(), calibrated);
    let told =
        String::from_utf8(home.run(&["quality", "calibration", "--as-of", "2020-01-01T00:00:00Z"]).0.stdout).unwrap();
    assert_eq!(told.trim(), "no task had both a judge's mark and a rating by people then");
}
