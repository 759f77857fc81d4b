//! The catalogue from the command line: checking, loading over what is there, exporting, watching.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Home, Server, send, until, wait};

const LETTER: &str = "key: write-letter\ntitle: { en: Write a letter, ar: كتابة خطاب }\ndescription: A letter.\n\
                      parameters:\n  type: object\n  required: [to]\n  properties:\n    to: { type: string }\n\
                      instructions: Write to {{ to }}.\n";

fn instructions(server: &Server) -> String {
    let query = "{ journalHead }";
    let head = server.ask(query, json!({}))["journalHead"].clone();
    let query = "query($at: Position) { template(key: \"write-letter\", minPosition: $at) { body { instructions } } }";
    let answer = server.ask(query, json!({ "at": head }));
    answer["template"]["body"]["instructions"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn checking_needs_no_database_and_names_every_place() {
    let home = Home::new();
    let answer = home.run(&["catalog", "check", "--strict", "--json"]).expect(0).json();
    assert_eq!(answer["errors"], json!([]));
    assert!(answer["counts"]["templates"].as_u64().unwrap() >= 11, "{answer}");

    home.write("own/templates/office/letter.yaml", LETTER);
    let own = home.path().join("own");
    let own = own.to_str().unwrap();
    let answer = home.run(&["catalog", "check", own, "--json"]).expect(0).json();
    let counts = json!({ "agents": 0, "templates": 1, "workflows": 0, "triggers": 0 });
    assert_eq!(answer, json!({ "counts": counts, "errors": [], "unmet": [] }));
    let answer = home.run(&["catalog", "check", own, "--strict", "--similar"]).expect(1).out();
    assert!(answer.contains("letter.yaml:3:1: description.ar: a text in Arabic is expected\n"), "{answer}");
    assert!(answer.contains("most similar templates by wording"), "{answer}");

    // What the installation cannot do is told, and is no error of the catalogue.
    home.write("own/templates/office/near.yaml", LETTER.replace("write-letter", "near") + "residency: [on-premises]\n");
    let answer = home.run(&["catalog", "check", own, "--json"]).expect(0).json();
    let unmet = "template `near` needs a platform that is tagged on-premises, and none that is configured for it is";
    assert_eq!(answer["unmet"], json!([unmet]));
    home.write("hishamos.toml", "[platforms.own]\nkind = \"ollama\"\nmodel = \"m\"\ntags = [\"on-premises\"]\n");
    assert_eq!(home.run(&["catalog", "check", own, "--json"]).expect(0).json()["unmet"], json!([]));
    std::fs::remove_file(home.path().join("own/templates/office/near.yaml")).unwrap();

    home.write(
        "own/templates/office/bad.yaml",
        LETTER.replace("write-letter", "bad").replace("{{ to }}", "{{ whom }}"),
    );
    home.write("own/agents/bad.yaml", "key: bad\nname: Bad\ndescripton: x\nsystem_prompt: y\n");
    let answer = home.run(&["catalog", "check", own, "--json"]).expect(1).json();
    assert_eq!(answer["counts"]["templates"], 2);
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0]["file"].as_str().unwrap().ends_with("own/agents/bad.yaml"));
    assert_eq!(
        (&errors[0]["line"], &errors[0]["column"], &errors[0]["field"]),
        (&json!(3), &json!(1), &json!("descripton"))
    );
    assert_eq!((&errors[1]["line"], &errors[1]["field"]), (&json!(9), &json!("instructions")));
    assert!(!home.data().exists(), "nothing was started");
}

#[test]
fn an_own_catalogue_and_peoples_changes_survive_loading() {
    let home = Home::new();
    home.write("own/templates/letter.yaml", LETTER);
    home.write("hishamos.toml", "[catalog]\ndir = \"own\"\n");
    let counts = home.run(&["catalog", "check", "--json"]).expect(0).json()["counts"].clone();
    let all = counts.as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    let rest = all - 1;
    let server = home.serve(&["--simulate"]);
    let before = home.run(&["catalog", "diff"]).expect(0).out();
    assert!(
        before.contains("added      template  write-letter\n") && before.ends_with(&format!("{all} added\n")),
        "{before}"
    );
    assert_eq!(home.run(&["catalog", "load"]).expect(0).out().lines().last(), Some(&*format!("{all} added")));
    assert_eq!(home.run(&["catalog", "load"]).expect(0).out(), format!("{all} unchanged\n"));
    assert_eq!(instructions(&server), "Write to {{ to }}.");

    // A changed file is a change, shown line by line before it is made.
    home.write("own/templates/letter.yaml", LETTER.replace("Write to", "Please write to"));
    let diff = home.run(&["catalog", "diff"]).expect(0).out();
    let sum = format!("1 revised, {rest} unchanged");
    for part in ["revised    template  write-letter", "-instructions: Write to", "+instructions: Please write to", &sum]
    {
        assert!(diff.contains(part), "{part}: {diff}");
    }
    assert_eq!(instructions(&server), "Write to {{ to }}.");
    home.run(&["catalog", "load"]).expect(0);
    assert_eq!(instructions(&server), "Please write to {{ to }}.");

    // What a person changes through the API is kept, and said to be.
    let input = json!({ "key": "write-letter", "title": "Letter", "instructions": "Scribble to {{ to }}.",
        "parameters": { "type": "object", "properties": { "to": { "type": "string" } } } });
    let register = "mutation($input: RegisterTemplateInput!) { registerTemplate(input: $input) { changed } }";
    server.ask(register, json!({ "input": input }));
    let kept = home.run(&["catalog", "load"]).expect(0).out();
    let line = "kept       template  write-letter  (last changed by person:operator)";
    assert_eq!(kept, format!("{line}\n1 kept, {rest} unchanged\n"));
    assert_eq!(instructions(&server), "Scribble to {{ to }}.");

    // It can be taken over into the own catalogue, or replaced.
    let exported = home.run(&["catalog", "export", "taken", "--edited", "--json"]).expect(0).json();
    assert_eq!(exported["entries"].as_array().unwrap().len(), 1);
    assert_eq!(exported["entries"][0]["lastChangedBy"], "person:operator");
    let taken = std::fs::read_to_string(home.path().join("taken/templates/write-letter.yaml")).unwrap();
    assert!(taken.contains("Scribble to"), "{taken}");
    let again = home.run(&["catalog", "export", "taken", "--edited"]).expect(2);
    assert!(again.err().contains("taken/templates/write-letter.yaml"), "{}", again.all());
    assert_eq!(home.run(&["catalog", "load", "taken"]).expect(0).out(), "1 unchanged\n");
    let forced = home.run(&["catalog", "load", "--overwrite"]).expect(0).out();
    assert!(forced.ends_with(&format!("1 revised, {rest} unchanged\n")), "{forced}");
    assert_eq!(instructions(&server), "Please write to {{ to }}.");
    let exported = home.run(&["catalog", "export", "all"]).expect(0).out();
    assert!(exported.ends_with(&format!("{all} files written\n")), "{exported}");
    assert_eq!(home.run(&["catalog", "check", "all"]).expect(0).out().lines().count(), 1);
    drop(server);
}

#[test]
fn a_watched_catalogue_is_loaded_while_it_is_written() {
    let home = Home::new();
    home.write("own/templates/letter.yaml", LETTER);
    let server = home.serve(&["--simulate"]);
    let mut watching =
        home.command(&["catalog", "watch", "own"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the first load", || (instructions(&server) == "Write to {{ to }}.").then_some(()));
    home.write("own/templates/letter.yaml", "key: write-letter\ntitle: half a fi");
    home.write("own/templates/letter.yaml", LETTER.replace("Write to", "Please write to"));
    until("the second load", || (instructions(&server) == "Please write to {{ to }}.").then_some(()));
    home.write("own/templates/deeper/letter.yaml", LETTER.replace("write-letter", "write-note"));
    let query = "{ template(key: \"write-note\") { version } }";
    until("a file in a new folder", || server.ask(query, json!({}))["template"]["version"].as_u64());
    send("-TERM", watching.id());
    assert!(wait(&mut watching).success());
}
