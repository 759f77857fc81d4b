//! The format of agents and templates: what is read, what is refused and in which words, and what our own catalogue
//! asks for beyond that.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::fs;

use domain::template::Check;
use domain::{Bilingual, Capability};
use serde_json::json;

use super::*;

const TEMPLATE: &str = "\
key: write-letter
title: { en: Write a letter, ar: كتابة خطاب }
description:
  en: A letter that is ready to be signed.
  ar: خطاب جاهز للتوقيع.
capability: documentation
parameters:
  type: object
  required: [to]
  properties:
    to:
      type: string
      title: Recipient
      x-title-ar: المستلم
    tone:
      type: string
      enum: [formal, friendly]
      x-enum-ar: [رسمي, ودّي]
      default: formal
    notes:
      type: string
instructions: |
  Write a {{ tone }} letter to {{ to }}.
  {% if notes is defined %}Use: {{ notes }}{% endif %}
result: A letter.
checklist:
  - text: { en: Names the recipient., ar: يذكر المستلم. }
    check: { mentions: to }
  - text: Has a closing.
    check: { contains_any: [Yours, المخلص] }
  - text: Reads well.
  - text: Has a heading.
    check: { contains_heading: { en: Letter, ar: خطاب } }
  - text: The data is right.
    check: fits_output_schema
output_schema:
  type: object
  properties:
    words: { type: integer }
example:
  request: Please write to the landlord.
  parameters:
    to: the landlord
    notes: We leave on 3 May.
residency: [on-premises, eu]
";

/// What is wrong with the template after a change of its text.
fn wrong(from: &str, to: &str) -> String {
    assert!(TEMPLATE.contains(from), "{from}");
    parse_template("t.yaml", &TEMPLATE.replacen(from, to, 1)).unwrap_err().to_string()
}

fn both(en: &str, ar: &str) -> Bilingual {
    Bilingual { en: en.to_owned(), ar: Some(ar.to_owned()) }
}

#[test]
fn everything_is_read_and_written() {
    let body = parse_template("t.yaml", TEMPLATE).unwrap();
    assert_eq!(body.title, both("Write a letter", "كتابة خطاب"));
    assert_eq!(body.result, Some("A letter.".into()));
    assert_eq!(body.capability, Some(Capability::Documentation));
    assert_eq!(body.residency, ["eu", "on-premises"].map(|tag| tag.parse().unwrap()).into());
    let checks: Vec<_> = body.checklist.iter().map(|item| item.check.clone()).collect();
    assert_eq!(
        checks,
        [
            Some(Check::Mentions("to".to_owned())),
            Some(Check::ContainsAny(vec!["Yours".to_owned(), "المخلص".to_owned()])),
            None,
            Some(Check::ContainsHeading(both("Letter", "خطاب"))),
            Some(Check::FitsOutputSchema),
        ]
    );
    let written = template_to_yaml(&body).unwrap();
    assert_eq!(parse_template("t.yaml", &written).as_ref(), Ok(&body), "{written}");
}

#[test]
fn every_check_has_its_word() {
    let checks = "  - text: Is short.
    check: { max_words: 9 }
  - text: Is long.
    check: { min_words: 3 }
  - text: Has parts.
    check: { min_headings: 2 }
  - text: Has points.
    check: { min_list_items: 2 }
  - text: Has few points.
    check: { max_list_items: 8 }
  - text: Has a table.
    check: { min_table_rows: 1 }
  - text: Has code.
    check: contains_code_block
  - text: Is serious.
    check: { omits: [lol] }
output_schema:
";
    let text = TEMPLATE.replacen("output_schema:\n", checks, 1);
    let body = parse_template("t.yaml", &text).unwrap();
    assert_eq!(body.checklist.len(), 13);
    assert_eq!(parse_template("t.yaml", &template_to_yaml(&body).unwrap()), Ok(body));
}

#[test]
fn the_language_of_the_answer_need_not_be_described() {
    let text = TEMPLATE.replacen("{% if notes", "Answer in {{ answer_language }}. {% if notes", 1);
    let body = parse_template("t.yaml", &text).unwrap();
    let added = body.parameters.pointer("/properties/answer_language/default").unwrap();
    assert_eq!(added, &json!("English"));
    let written = template_to_yaml(&body).unwrap();
    assert!(!written.contains("answer_language:"), "{written}");
    assert_eq!(parse_template("t.yaml", &written).as_ref(), Ok(&body));

    let own = text.replacen("    notes:\n", "    answer_language: { type: string, default: Welsh }\n    notes:\n", 1);
    let body = parse_template("t.yaml", &own).unwrap();
    assert_eq!(body.parameters.pointer("/properties/answer_language/default").unwrap(), &json!("Welsh"));
    assert_eq!(parse_template("t.yaml", &template_to_yaml(&body).unwrap()), Ok(body));
}

#[test]
fn wrong_texts_are_told_with_their_place() {
    assert_eq!(
        wrong("{ en: Write a letter, ar: كتابة خطاب }", "{ en: Write a letter, fr: Lettre }"),
        "t.yaml:2:30: title.fr: unknown field `fr`, expected one of en, ar"
    );
    assert_eq!(
        wrong("{ en: Write a letter, ar: كتابة خطاب }", "{ ar: كتابة خطاب }"),
        "t.yaml:2:10: title: missing field `en`"
    );
    assert_eq!(
        wrong("result: A letter.", "result: { en: A letter., ar: \" \" }"),
        "t.yaml:25:1: result: must not be empty"
    );
    assert_eq!(
        wrong("text: Reads well.", "text: [Reads, well]"),
        "t.yaml:31:5: checklist[2].text: a text, or a text in each language ({ en: …, ar: … }) belongs here"
    );
}

#[test]
fn wrong_checks_are_told_with_their_place() {
    assert_eq!(
        wrong("{ mentions: to }", "{ mentions: whom }"),
        "t.yaml:28:5: checklist[0].check: mentions `whom`, which is no parameter of the template"
    );
    assert_eq!(
        wrong("{ mentions: to }", "{ min_words: 0 }"),
        "t.yaml:28:5: checklist[0].check: a least number must be at least 1, because everything has 0"
    );
    let unknown = wrong("{ mentions: to }", "{ rhymes: true }");
    assert!(unknown.starts_with("t.yaml:28:14: checklist[0].check"), "{unknown}");
    assert!(unknown.contains("unknown variant `rhymes`, expected one of min_words, max_words, "), "{unknown}");
    let two = wrong("{ mentions: to }", "{ mentions: to, min_words: 3 }");
    assert!(two.starts_with("t.yaml:28:") && two.contains("checklist[0].check"), "{two}");
    assert_eq!(
        wrong("output_schema:\n  type: object\n  properties:\n    words: { type: integer }\n", ""),
        "t.yaml:35:5: checklist[4].check: asks for an output_schema, but the template has none"
    );
    let capability = wrong("capability: documentation", "capability: docs");
    assert!(
        capability.starts_with("t.yaml:6:13: capability: unknown variant `docs`, expected one of coding, "),
        "{capability}"
    );
}

#[test]
fn wrong_parameters_are_told_with_their_place() {
    assert_eq!(
        wrong("{% if notes is defined %}Use: {{ notes }}{% endif %}", ""),
        "t.yaml:20:5: parameters.properties.notes: the instructions do not use this parameter; use it or leave it out"
    );
    let name = TEMPLATE.replace("notes", "Notes");
    assert_eq!(
        parse_template("t.yaml", &name).unwrap_err().to_string(),
        "t.yaml:20:5: parameters.properties.Notes: `Notes` is no parameter's name: it must be 1 to 64 of a-z, 0-9 and \
         `_`, starting with a letter"
    );
    assert_eq!(
        wrong("[رسمي, ودّي]", "[رسمي]"),
        "t.yaml:18:7: parameters.properties.tone.x-enum-ar: a list of 2 texts belongs here, a label for each value of \
         `enum`, in the same order"
    );
    assert_eq!(
        wrong("x-title-ar: المستلم", "x-title-ar: 3"),
        "t.yaml:14:7: parameters.properties.to.x-title-ar: a text belongs here"
    );
    assert_eq!(
        wrong("default: formal", "default: rude"),
        "t.yaml:19:7: parameters.properties.tone.default: the default of `tone` does not fit its own schema: \"rude\" \
         is not one of \"formal\" or \"friendly\""
    );
    assert_eq!(
        wrong("words: { type: integer }", "words: { type: count }"),
        "t.yaml:39:5: output_schema.properties.words.type: is no JSON Schema: \"count\" is not valid under any of the \
         schemas listed in the 'anyOf' keyword (at /properties/words/type)"
    );
}

#[test]
fn wrong_examples_are_told_with_their_place() {
    assert_eq!(
        wrong("    to: the landlord\n", "    to: 3\n"),
        "t.yaml:43:5: example.parameters.to: the example does not fit its own schema: 3 is not of type \"string\" (at \
         /to)"
    );
    assert_eq!(
        wrong("{% if notes is defined %}Use: {{ notes }}{% endif %}", "Use: {{ notes }}"),
        "t.yaml:42:3: example.parameters: the example, reduced to what is required, cannot be rendered: undefined \
         value: `notes` is undefined (in <string>:2); give the parameter a `default`, require it, or ask whether it `is \
         defined`"
    );
    assert_eq!(
        wrong("  parameters:\n    to: the", "  parameters_ar: {}\n  parameters:\n    to: the"),
        "t.yaml:42:3: example.parameters_ar: the Arabic example does not fit its own schema: \"to\" is a required \
         property"
    );
}

#[test]
fn agents_have_rules_and_limits() {
    const AGENT: &str = "key: clerk\nname: Clerk\ndescription: Files.\nsystem_prompt: You file.\n";
    let read = |more: &str| parse_agent("a.yaml", &format!("{AGENT}{more}"));
    let clerk = read("").unwrap();
    assert_eq!((clerk.review_rounds, clerk.cost_limit, clerk.constraints.len()), (1, None, 0));
    let clerk = read("constraints:\n  - { en: Never shreds., ar: لا يتلف. }\ncost_limit_usd: 1.5\nself_review: false\n")
        .unwrap();
    assert_eq!(clerk.cost_limit, Some(domain::NanoUsd(1_500_000_000)));
    assert_eq!(parse_agent("a.yaml", &agent_to_yaml(&clerk).unwrap()), Ok(clerk));
    let rounds = |more: &str| read(&format!("self_review: {more}\n")).unwrap();
    for (written, wanted) in [("true", 1), ("false", 0), ("{ rounds: 3 }", 3)] {
        let clerk = rounds(written);
        assert_eq!(clerk.review_rounds, wanted, "{written}");
        assert_eq!(parse_agent("a.yaml", &agent_to_yaml(&clerk).unwrap()), Ok(clerk));
    }
    let error = |more: &str| read(more).unwrap_err().to_string();
    assert!(
        error("self_review: { rounds: 4 }\n")
            .ends_with("self_review must be true, false or a number of rounds from 0 to 3")
    );
    assert!(error("self_review: often\n").contains("true, false or { rounds: 0 to 3 }"));
    assert!(error("self_review: { times: 1 }\n").contains("unknown field `times`"));
    assert_eq!(
        error("cost_limit_usd: 0\n"),
        "a.yaml:5:1: cost_limit_usd: the agent's profile is not valid: cost_limit_usd must be more than zero"
    );
    assert_eq!(
        error("cost_limit_usd: $1\n"),
        "a.yaml:5:17: cost_limit_usd: `$1` is no amount in US dollars with at most nine digits after the point, such as \
         0.50"
    );
    assert_eq!(
        error("constraints: [Never shreds., \"\"]\n"),
        "a.yaml:5:1: constraints: the agent's profile is not valid: constraints must not hold an empty text"
    );
    assert!(error("capabilities: [filing]\n").starts_with("a.yaml:5:16: capabilities[0]: unknown variant `filing`"));
}

#[test]
fn our_own_catalogue_asks_for_more() {
    let files = [("templates/write-letter.yaml", TEMPLATE)];
    let errors = Catalog::from_files(files).unwrap().check_strict();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let has = |line: &str| assert!(lines.iter().any(|found| found.contains(line)), "{line}\n{}", lines.join("\n"));
    has("yaml:11:5: parameters.properties.to.description: a text in English is expected");
    has("yaml:11:5: parameters.properties.to.x-description-ar: a text in Arabic script is expected");
    has("yaml:7:1: parameters: `additionalProperties: false` is expected");
    has("yaml:25:1: result.ar: a text in Arabic is expected");
    has("yaml:29:5: checklist[1].text.ar: a text in Arabic is expected");
    has("yaml:41:3: example.request.ar: a text in Arabic is expected");
    has("yaml:22:1: instructions: 8 words stand here; 60 to 600 are expected");
    has("yaml:22:1: instructions: `{{ answer_language }}` is expected in them");
    has("department: `` is none of our departments; they are engineering, architecture, ");
    let moved = TEMPLATE.replacen("capability", "department: legal\ncapability", 1);
    let errors = Catalog::from_files([("templates/write-letter.yaml", moved)]).unwrap().check_strict();
    let place = errors.iter().map(ToString::to_string).find(|error| error.contains(": key: "));
    assert_eq!(
        place.as_deref(),
        Some("templates/write-letter.yaml:1:1: key: the file is expected to be templates/legal/write-letter.yaml")
    );
    has("tags: 0 tags stand here; 1 to 8 are expected");
}

#[test]
fn near_copies_are_refused_by_our_own_catalogue() {
    let long = TEMPLATE.replacen(
        "Write a {{ tone }} letter",
        "Say first what you want, then why, then by when, and thank the reader at the end of it. Keep every sentence \
         below twenty words, name no price that the notes do not name, and sign for the company. Write a {{ tone }} letter",
        1,
    );
    let copy = long.replace("write-letter", "write-note").replace("letter to", "note to");
    let catalog = Catalog::from_files([("templates/a.yaml", long), ("templates/b.yaml", copy)]).unwrap();
    let errors: Vec<String> = catalog.check_strict().iter().map(ToString::to_string).collect();
    let near: Vec<&String> = errors.iter().filter(|error| error.contains("sequences of five words")).collect();
    let [near] = near.as_slice() else { panic!("{errors:?}") };
    assert!(
        ["8", "9"].iter().any(|digit| near.starts_with(&format!("templates/b.yaml:22:1: instructions: {digit}"))),
        "{near}"
    );
    assert!(near.contains("`write-letter`"), "{near}");
}

#[test]
fn an_own_catalogue_lies_over_ours() {
    let starter = Catalog::starter().unwrap();
    let before = starter.counts();
    let ours = "key: weigh-settlement-offer\ntitle: Ours\ndescription: Ours.\nparameters: { type: object }\ninstructions: Do.\n";
    let own = Catalog::from_files([("templates/t.yaml", ours), ("templates/l.yaml", TEMPLATE)]).unwrap();
    let whole = own.over(starter);
    assert_eq!(whole.counts().templates, before.templates + 1);
    let key = |text: &str| text.parse::<Key>().unwrap();
    let found: Vec<_> = whole.templates.iter().filter(|body| body.key.as_str() == "weigh-settlement-offer").collect();
    assert_eq!(found.iter().map(|body| body.title.en.as_str()).collect::<Vec<_>>(), ["Ours"]);
    assert_eq!(whole.layer(Kind::Template, &key("weigh-settlement-offer")), Layer::Own);
    assert_eq!(whole.layer(Kind::Template, &key("improve-text")), Layer::Starter);
    assert_eq!(whole.check(), []);

    // What a workflow of ours needs may not be there any more; then the whole is wrong, and says where.
    let keyed =
        "key: list-key-points\ntitle: Ours\ndescription: Ours.\nparameters: { type: object }\ninstructions: Do.\n";
    let whole = Catalog::from_files([("templates/k.yaml", keyed)]).unwrap().over(Catalog::starter().unwrap());
    assert!(
        whole
            .check()
            .iter()
            .any(|error| error.to_string().contains("which is no parameter of the template `list-key-points`"))
    );
}

#[test]
fn folders_may_stand_in_folders() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("templates/office/letters")).unwrap();
    fs::create_dir_all(at("templates/.git")).unwrap();
    fs::write(at("templates/office/letters/one.yaml"), TEMPLATE).unwrap();
    fs::write(at("templates/.git/two.yaml"), "not: right").unwrap();
    fs::write(at("templates/office/.three.yaml"), "not: right").unwrap();
    // A folder that leads back to itself is not followed; a linked file is read.
    std::os::unix::fs::symlink(at("templates"), at("templates/office/again")).unwrap();
    fs::create_dir_all(at("agents")).unwrap();
    fs::write(at("clerk.txt"), "key: clerk\nname: C\ndescription: D\nsystem_prompt: S\n").unwrap();
    std::os::unix::fs::symlink(at("clerk.txt"), at("agents/clerk.yaml")).unwrap();
    let catalog = Catalog::read_dir(directory.path()).unwrap();
    assert_eq!(catalog.counts(), Counts { agents: 1, templates: 1, workflows: 0, triggers: 0 });

    fs::write(at("templates/office/bad.yaml"), "key: bad\n").unwrap();
    let error = Catalog::read_dir(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("templates/office/bad.yaml:1:1: missing field `title`"), "{error}");
}
