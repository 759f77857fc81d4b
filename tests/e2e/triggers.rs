//! Triggers from the command line, fired by the running program.

use serde_json::json;

use crate::program::{Home, until};

const EVERY_SECOND: &str = r#"
key: often
workflow: welcome
schedule: { cron: "* * * * * *" }
overlap: skip
input: { file: trigger.tick.at }
"#;

const ON_POST: &str = r#"
key: paid
workflow: welcome
external: { name: order-paid, when: payload.paid }
input: { file: trigger.payload.text }
"#;

#[test]
fn a_schedule_and_a_post_start_runs() {
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    home.write("often.yaml", EVERY_SECOND);
    home.write("paid.yaml", ON_POST);
    for file in ["often.yaml", "paid.yaml"] {
        let set = home.run(&["trigger", "set", file, "--json"]).expect(0).json();
        assert_eq!(set["changed"], true);
    }
    let again = home.run(&["trigger", "set", "often.yaml"]).expect(0).out();
    assert_eq!(again, "trigger often: unchanged\n");
    let runs = || {
        let runs = home.run(&["runs", "--json"]).expect(0).json();
        runs["nodes"].as_array().unwrap().len()
    };
    until("runs by the schedule", || (runs() >= 2).then_some(()));
    home.run(&["trigger", "pause", "often", "--reason", "enough"]).expect(0);
    let listed = home.run(&["trigger", "list"]).expect(0).out();
    assert!(listed.contains("often") && listed.contains("paused") && listed.contains("enough"), "{listed}");

    let post = |id: &str, payload: &str| {
        home.run(&["trigger", "post", "order-paid", "--id", id, "--payload", payload, "--json"]).expect(0).json()
    };
    let before = until("no run is going", || {
        let (first, second) = (runs(), runs());
        (first == second).then_some(first)
    });
    assert_eq!(post("a", r#"{"paid": true, "text": "thanks"}"#)["changed"], true);
    assert_eq!(post("a", r#"{"paid": true, "text": "thanks"}"#)["changed"], false);
    post("b", r#"{"paid": false}"#);
    until("the run of the post", || (runs() > before).then_some(()));

    let next = home.run(&["trigger", "next", "often", "--count", "3", "--json"]).expect(0).json();
    assert_eq!(next.as_array().unwrap().len(), 3);
    let started = home.run(&["trigger", "run-now", "often", "--json"]).expect(2);
    assert!(started.all().contains("RUN_INPUT_INVALID"), "there is no tick: {}", started.all());
    let shown = home.run(&["trigger", "show", "paid"]).expect(0).out();
    assert!(shown.contains("when: payload.paid"), "{shown}");
    let known = home.run(&["trigger", "show", "paid", "--json"]).expect(0).json();
    assert_eq!(known["settings"]["kind"]["external"]["name"], json!("order-paid"));
    home.run(&["trigger", "remove", "often"]).expect(0);
    let gone = home.run(&["trigger", "resume", "often"]).expect(2);
    assert!(gone.all().contains("there is no trigger `often`"), "{}", gone.all());
    let wrong = home.write("wrong.yaml", EVERY_SECOND.replace("* * * * * *", "61 * * * *"));
    let refused = home.run(&["trigger", "set", wrong.to_str().unwrap()]).expect(2);
    assert!(refused.err().contains("no cron pattern"), "{}", refused.all());
    drop(server);
}
