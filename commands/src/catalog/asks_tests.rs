#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

const TEMPLATE: &str = "\
key: greet
title: Greet
description: Says hello.
parameters: { type: object }
instructions: Say hello.
";

fn wrong(asks: &str) -> String {
    Catalog::from_files([("asks/a.yaml", asks)]).unwrap_err().to_string()
}

fn greet() -> Key {
    "greet".parse().unwrap()
}

#[test]
fn ways_of_asking_are_read_beside_their_template() {
    let asks = "greet:\n  en:\n    - say hello to the new ones\n    - \"welcome: them\"\n  ar: [سلم عليهم]\n";
    let catalog = Catalog::from_files([("asks/a.yaml", asks), ("templates/t.yaml", TEMPLATE)]).unwrap();
    let texts: Vec<&str> = catalog.asks.get(&greet()).unwrap().each().collect();
    assert_eq!(texts, ["say hello to the new ones", "welcome: them", "سلم عليهم"]);
    assert_eq!(catalog.check(), []);
    assert_eq!(catalog.counts(), Counts { agents: 0, templates: 1, workflows: 0, triggers: 0 });
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    assert_eq!(
        wrong("greet:\n  en: [say hello]\n  fr: [dis bonjour]\n"),
        "asks/a.yaml:3:3: greet.fr: unknown field `fr`, expected one of en, ar"
    );
    assert_eq!(
        wrong("greet:\n  en:\n    - say hello\n    - abc\n"),
        "asks/a.yaml:4:5: greet.en[1]: is 3 characters long; a way of asking has 4 to 200"
    );
    assert_eq!(
        wrong(&format!("greet:\n  ar:\n    - {}\n", "س".repeat(201))),
        "asks/a.yaml:3:5: greet.ar[0]: is 201 characters long; a way of asking has 4 to 200"
    );
    let many: String = (0..21).map(|number| format!("    - say hello {number}\n")).collect();
    assert_eq!(
        wrong(&format!("greet:\n  en:\n{many}")),
        "asks/a.yaml:2:3: greet.en: 21 ways of asking stand here; at most 20 are allowed"
    );
    assert_eq!(wrong("greet:\n  en: []\n"), "asks/a.yaml:1:1: greet: there must be a way of asking in `en` or in `ar`");
    assert_eq!(
        wrong("greet:\n  en:\n    - say hello\npart:\n  en:\n    - Say  HELLO\n"),
        "asks/a.yaml:6:5: part.en[0]: asks for `greet` too, in asks/a.yaml; a way of asking stands in a catalogue once"
    );
    assert_eq!(wrong("greet:\n  en: say hello\n"), "asks/a.yaml:2:7: greet.en: a list belongs here");
}

#[test]
fn two_files_cannot_speak_of_the_same_template() {
    let files = [("asks/a.yaml", "greet:\n  en: [say hello]\n"), ("asks/b.yaml", "\ngreet:\n  en: [welcome them]\n")];
    assert_eq!(
        Catalog::from_files(files).unwrap_err().to_string(),
        "asks/b.yaml:2:1: greet: the way of asking for `greet` is described in asks/a.yaml too; keys must be unique"
    );
}

#[test]
fn nobody_asks_for_what_is_not_there() {
    let catalog = Catalog::from_files([("asks/a.yaml", "greet:\n  en: [say hello]\n")]).unwrap();
    let errors: Vec<String> = catalog.check().iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["asks/a.yaml:1:1: greet: there is no template `greet` for which anybody could ask"]);
}

#[test]
fn our_own_lie_over_those_that_come_along() {
    let starter = Catalog::starter().unwrap();
    let before = starter.asks.len();
    let key = starter.asks.keys().next().unwrap().clone();
    let text = format!("{key}:\n  en: [ours alone]\n");
    let ours = Catalog::from_files([("asks/a.yaml", text)]).unwrap().over(starter);
    assert_eq!(ours.asks.len(), before);
    assert_eq!(ours.asks.get(&key).unwrap().each().collect::<Vec<_>>(), ["ours alone"]);
    assert_eq!(ours.layer(Kind::Asks, &key), Layer::Own);
    assert_eq!(ours.check(), []);
}
