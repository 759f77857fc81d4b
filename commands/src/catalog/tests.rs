#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::StepName;
use serde_json::json;

use super::parse::MAX_FILE;
use super::*;

const AGENT: &str = "\
key: helper
name: Helper
description: Helps.
system_prompt: You help.
";

const TEMPLATE: &str = "\
key: greet
title: Greet
description: Says hello.
parameters:
  type: object
  required: [who]
  properties:
    who: { type: string }
instructions: Say hello to {{ who }}.
";

const WORKFLOW: &str = "\
key: hello
name: Hello
description: Says hello.
input_schema:
  type: object
  properties:
    who: { type: string }
steps:
  - name: greet
    title: Greet
    agent: helper
    template: greet
    input:
      who: input.who
  - name: again
    title: Greet again
    agent: helper
    template: greet
    needs: [greet]
    input:
      who: steps.greet.text
";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalog")
}

/// What is wrong with a file, a line each.
fn wrong(name: &str, text: impl AsRef<[u8]>) -> String {
    let files = [(name, text)];
    Catalog::from_files(files).unwrap_err().to_string()
}

fn agent(from: &str, to: &str) -> String {
    assert!(AGENT.contains(from));
    wrong("agents/a.yaml", AGENT.replacen(from, to, 1))
}

fn template(from: &str, to: &str) -> String {
    assert!(TEMPLATE.contains(from));
    wrong("templates/t.yaml", TEMPLATE.replacen(from, to, 1))
}

fn workflow(from: &str, to: &str) -> String {
    assert!(WORKFLOW.contains(from));
    wrong("workflows/w.yaml", WORKFLOW.replacen(from, to, 1))
}

/// What does not fit around the workflow after a change of its text.
fn unfit(from: &str, to: &str) -> String {
    assert!(WORKFLOW.contains(from));
    let files = [
        ("agents/a.yaml", AGENT.to_owned()),
        ("templates/t.yaml", TEMPLATE.to_owned()),
        ("workflows/w.yaml", WORKFLOW.replacen(from, to, 1)),
    ];
    let errors = Catalog::from_files(files).unwrap().check();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_starter_catalogue_is_right() {
    let catalog = Catalog::starter_checked().unwrap();
    assert_eq!(catalog.check(), []);
    assert_eq!(catalog.check_strict(), []);
    assert!(catalog.agents.iter().all(|agent| agent.platform.is_none() && agent.model.is_none()));
}

#[test]
fn the_program_carries_every_file_of_the_folder() {
    let from_disk = Catalog::read_dir(shipped()).unwrap();
    let carried = Catalog::starter().unwrap();
    assert_eq!(from_disk.agents, carried.agents);
    assert_eq!(from_disk.templates, carried.templates);
    assert_eq!(from_disk.workflows, carried.workflows);
    assert_eq!(from_disk.asks, carried.asks);
    assert!(carried.asks.len() > 100);
}

/// The prompts that a small local model understands are kept as they are; a longer one would be another prompt.
#[test]
fn the_prompts_for_the_local_model_stay_short() {
    let starters: Vec<TemplateBody> = Catalog::starter()
        .unwrap()
        .templates
        .into_iter()
        .filter(|body| body.tags.iter().any(|tag| tag == "starter"))
        .collect();
    assert_eq!(starters.len(), 11, "the tag `starter` is for the templates that were there from the beginning");
    for body in starters {
        for example in body.parameters.get("examples").unwrap().as_array().unwrap() {
            let text = body.render(&schema::complete(&body.parameters, example)).unwrap();
            assert!(text.len() < 700, "{}: {text}", body.key);
            assert!(!text.contains("\n\n\n"), "{}: {text:?}", body.key);
        }
    }
}

#[test]
fn no_two_templates_say_the_same() {
    let Similarity { wording, words } = Catalog::starter().unwrap().similarity(20);
    let show = |pairs: &[Pair]| {
        let lines = pairs.iter().map(|Pair { one, other, share }| format!("  {share:.3}  {one}  {other}\n"));
        lines.collect::<String>()
    };
    let report = format!("by wording:\n{}by words:\n{}", show(&wording), show(&words));
    assert!(wording.iter().all(|pair| pair.share <= MOST_SHARED), "{report}");
}

#[test]
fn a_long_document_is_cut_before_it_reaches_the_model() {
    let catalog = Catalog::starter().unwrap();
    let body = catalog.templates.iter().find(|body| body.key.as_str() == "list-key-points").unwrap();
    let text = body.render(&json!({ "document": "ä".repeat(50_000), "read_limit": 4000, "count": 4 })).unwrap();
    assert_eq!(text.matches('ä').count(), 4000);
}

#[test]
fn the_welcome_workflow_joins_two_parallel_steps() {
    let catalog = Catalog::starter().unwrap();
    let welcome = catalog.workflows.iter().find(|definition| definition.key.as_str() == "welcome").unwrap();
    let needs: Vec<usize> = welcome.steps.iter().map(|step| step.needs.len()).collect();
    assert_eq!(needs, [0, 0, 2]);
    let required = welcome.input_schema.get("required").unwrap();
    assert_eq!(required, &json!(["file"]));
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let catalog = Catalog::starter().unwrap();
    for profile in &catalog.agents {
        assert_eq!(parse_agent("a", &agent_to_yaml(profile).unwrap()).as_ref(), Ok(profile));
    }
    for body in &catalog.templates {
        assert_eq!(parse_template("t", &template_to_yaml(body).unwrap()).as_ref(), Ok(body));
    }
    for definition in &catalog.workflows {
        assert_eq!(parse_workflow("w", &workflow_to_yaml(definition).unwrap()).as_ref(), Ok(definition));
    }
    for entry in &catalog.triggers {
        assert_eq!(parse_trigger("t", &trigger_to_yaml(entry).unwrap()).as_ref(), Ok(entry));
    }
}

fn blocks(guide: &str) -> Vec<&str> {
    guide.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_documented_examples_are_right() {
    let blocks = blocks(include_str!("../../../docs/use/catalogue.md"));
    let [template, agent, trigger] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let files = [
        ("templates/recruitment/write-job-ad.yaml", *template),
        ("agents/recruitment/recruiter.yaml", *agent),
        ("triggers/application-received.yaml", *trigger),
    ];
    assert_eq!(Catalog::from_files(files).unwrap().check_strict(), []);
}

#[test]
fn the_documented_workflow_is_right() {
    let blocks = blocks(include_str!("../../../docs/use/workflows.md"));
    let [workflow, list, approval, child, compensation, expressions] = blocks.as_slice() else {
        panic!("{} blocks", blocks.len())
    };
    let definition = parse_workflow("guide", workflow).unwrap();
    let head = workflow.split_once("steps:\n").unwrap().0;
    let before = |name: &str, output: &str| {
        format!("  - {{ name: {name}, title: T, agent: a, template: t, output: {{ {output}: result.json }} }}\n")
    };
    for (before, steps) in [
        (before("outline", "chapters"), *list),
        (before("briefing", "text"), *approval),
        (before("briefing", "text"), *child),
        (
            "  - name: booking\n    title: T\n    agent: a\n    template: t\n    output: { id: result.json }\n".into(),
            *compensation,
        ),
    ] {
        parse_workflow("guide", &format!("{head}steps:\n{before}{steps}")).unwrap();
    }
    let starter = Catalog::starter().unwrap();
    let known = Known {
        workflows: BTreeMap::new(),
        agents: starter.agents.iter().map(|agent| agent.key.clone()).collect(),
        templates: starter.templates.into_iter().map(|body| (body.key.clone(), Arc::new(body))).collect(),
    };
    assert_eq!(check_definition(&definition, &known), []);
    let expressions: BTreeMap<StepName, domain::Expression> = serde_saphyr::from_str(expressions).unwrap();
    assert_eq!(expressions.len(), 7);
}

#[test]
fn every_number_of_an_agent_is_read_and_written() {
    let text = format!(
        "{AGENT}platform: ollama\nfallback_platforms: [local]\nmodel: qwen3\nresidency: [on-premises, eu]\n\
         temperature: 0.25\ntop_p: 0.9\n\
         frequency_penalty: -1.5\npresence_penalty: 2\nmax_tokens: 10\n\
         cost_limit_usd: 0.000000001\nself_review: false\ntimeout: 1h30m15s250ms\ncontext_window: 4096\n"
    );
    let profile = parse_agent("a", &text).unwrap();
    assert_eq!(profile.residency, ["eu", "on-premises"].map(|tag| tag.parse().unwrap()).into());
    assert_eq!(profile.temperature_milli, Some(250));
    assert_eq!(profile.top_p_milli, Some(900));
    assert_eq!(profile.frequency_penalty_milli, Some(-1500));
    assert_eq!(profile.presence_penalty_milli, Some(2000));
    assert_eq!(profile.timeout, Duration::from_millis(5_415_250));
    assert_eq!((profile.cost_limit, profile.review_rounds), (Some(domain::NanoUsd(1)), 0));
    assert_eq!(parse_agent("a", &agent_to_yaml(&profile).unwrap()), Ok(profile));
}

#[test]
fn what_is_left_out_has_its_default() {
    let definition = parse_workflow("w", WORKFLOW).unwrap();
    let step = definition.step(&"greet".parse::<StepName>().unwrap()).unwrap();
    assert_eq!(step.work.task().unwrap().retry, domain::RetryPolicy::default());
    assert_eq!(step.work.task().unwrap().attempt_timeout, Duration::from_secs(300));
    let retry = WORKFLOW.replacen("    needs:", "    retry: { max_attempts: 5, multiplier: 1.5 }\n    needs:", 1);
    let definition = parse_workflow("w", &retry).unwrap();
    let step = definition.step(&"again".parse::<StepName>().unwrap()).unwrap();
    assert_eq!(
        (step.work.task().unwrap().retry.max_attempts, step.work.task().unwrap().retry.multiplier_milli),
        (5, 1500)
    );
    assert_eq!(step.work.task().unwrap().retry.first_backoff, Duration::from_secs(2));
}

#[test]
fn fields_are_named_with_their_place() {
    assert_eq!(
        agent("name: Helper", "nmae: Helper"),
        "agents/a.yaml:2:1: nmae: unknown field `nmae`, expected one of key, name, description, \
         department, capabilities, tags, system_prompt, constraints, platform, fallback_platforms, model, \
         residency, temperature, max_tokens, top_p, frequency_penalty, presence_penalty, timeout, cost_limit_usd, \
         self_review, context_window, languages"
    );
    assert_eq!(
        agent("key: helper", "key: The Helper"),
        "agents/a.yaml:1:6: key: `The Helper` is no key: it must be 1 to 64 of a-z, 0-9, `-`, `_` and \
         `.`, starting with a letter or digit"
    );
    assert_eq!(agent("name: Helper\n", ""), "agents/a.yaml:3:1: missing field `name`");
    assert_eq!(
        agent("name: Helper", "name: [Helper]"),
        "agents/a.yaml:2:1: name: a text, or a text in each language ({ en: …, ar: … }) belongs here"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\ntimeout: 300"),
        "agents/a.yaml:3:10: timeout: `300` is no duration; write whole numbers with their units ms, s, \
         m, h or d, such as 300s or 1h30m"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\ntemperature: warm"),
        "agents/a.yaml:3:14: temperature: `warm` is no decimal number with at most three digits after \
         the point, such as 0.25"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\ntemperature: 0.1234"),
        "agents/a.yaml:3:14: temperature: `0.1234` is no decimal number with at most three digits after \
         the point, such as 0.25"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\nmax_tokens: -1"),
        "agents/a.yaml:3:13: max_tokens: a whole number from 0 to 4294967295 belongs here"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\nresidency: [eu, The EU]"),
        "agents/a.yaml:3:17: residency[1]: `The EU` is no tag: it must be 1 to 64 of a-z, 0-9, `-`, `_`, `.` and `:`"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\nname: Other"),
        "agents/a.yaml:3:1: `name` stands here a second time"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper: x"),
        "agents/a.yaml:2:13: mapping values are not allowed in this context"
    );
    assert_eq!(
        workflow("template: greet", "templte: greet"),
        "workflows/w.yaml:12:5: steps[0].templte: unknown field `templte`, expected one of name, title, \
         needs, when, agent, template, input, retry, timeout, start_timeout, for_each, approval, wait, signal, run, \
         output, step_timeout, compensation"
    );
    assert_eq!(
        workflow("who: steps.greet.text", "who: steps.greet.["),
        "workflows/w.yaml:21:12: steps[1].input.who: expression `steps.greet.[`: Parse error: Unexpected \
         nud token -- found Eof (line 0, column 13)"
    );
    assert_eq!(
        workflow("needs: [greet]", "needs: [Greet]"),
        "workflows/w.yaml:19:13: steps[1].needs[0]: `Greet` is no step name: it must be 1 to 64 of a-z, \
         0-9 and `_`, starting with a letter"
    );
    assert_eq!(
        workflow("needs: [greet]", "retry: { first_backoff: soon }"),
        "workflows/w.yaml:19:29: steps[1].retry.first_backoff: `soon` is no duration; write whole \
         numbers with their units ms, s, m, h or d, such as 300s or 1h30m"
    );
    assert_eq!(
        workflow("name: again", "name: Again"),
        "workflows/w.yaml:15:11: steps[1].name: `Again` is no step name: it must be 1 to 64 of a-z, 0-9 \
         and `_`, starting with a letter"
    );
}

#[test]
fn what_is_no_plain_yaml_is_refused() {
    assert_eq!(
        agent("name: Helper", "name: &n Helper"),
        "agents/a.yaml:2:10: anchors, aliases and merge keys are not allowed in catalogue files; write \
         the value out"
    );
    assert_eq!(
        agent("description: Helps.", "description: *n"),
        "agents/a.yaml:3:14: anchors, aliases and merge keys are not allowed in catalogue files; write \
         the value out"
    );
    assert_eq!(
        agent("name: Helper", "<<: { name: Helper }"),
        "agents/a.yaml:2:1: anchors, aliases and merge keys are not allowed in catalogue files; write \
         the value out"
    );
    assert_eq!(agent("name: Helper", "name: !secret Helper"), "agents/a.yaml:2:15: unsupported tag `!secret`");
    assert_eq!(agent("name: Helper", "name: \"Helper"), "agents/a.yaml:2:7: unclosed quote");
    assert_eq!(
        agent("system_prompt: You help.", "system_prompt: You help.\n---\nkey: other"),
        "agents/a.yaml:5:1: a file describes one thing; there is a second YAML document in it"
    );
    assert_eq!(wrong("agents/a.yaml", ""), "agents/a.yaml: is empty");
    assert_eq!(wrong("agents/a.yaml", "- a\n- b\n"), "agents/a.yaml:1:1: fields (`name: value`) belong here");
    assert_eq!(
        wrong("agents/a.yaml", b"key: \xffhelper\n"),
        "agents/a.yaml: is not UTF-8; the first wrong byte is byte 5 (counted from 0)"
    );
    assert_eq!(
        wrong("agents/a.yaml", format!("{AGENT}# {}", "x".repeat(MAX_FILE))),
        "agents/a.yaml: is larger than 1 MiB, the most that a catalogue file may have"
    );
    assert_eq!(
        wrong("agents/a.yaml", "[".repeat(5000)),
        "agents/a.yaml:1:65: is nested more than 64 levels deep or holds more than 100000 values"
    );
    assert_eq!(
        template("type: string", &format!("const: {}1{}", "[".repeat(70), "]".repeat(70))),
        "templates/t.yaml:8:82: is nested more than 64 levels deep or holds more than 100000 values"
    );
}

#[test]
fn a_small_file_cannot_stand_for_an_immense_one() {
    let mut bomb = String::from("type: object\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (level, below) in ('b'..='i').zip('a'..) {
        bomb.push_str(&format!("  {level}: &{level} [{}]\n", vec![format!("*{below}"); 10].join(", ")));
    }
    assert_eq!(
        template("type: object\n", &bomb),
        "templates/t.yaml:6:9: anchors, aliases and merge keys are not allowed in catalogue files; write \
         the value out"
    );
    let tags = format!("{}tags: [{}]\n", AGENT, vec!["x"; 200_000].join(","));
    assert_eq!(
        wrong("agents/a.yaml", tags),
        "agents/a.yaml:5:199986: is nested more than 64 levels deep or holds more than 100000 values"
    );
}

#[test]
fn the_rules_of_the_domain_are_asked() {
    assert_eq!(
        agent("name: Helper", "name: Helper\ntemperature: 3"),
        "agents/a.yaml:3:1: temperature: the agent's profile is not valid: temperature must be 0 to 2"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\ntemperature: -0.1"),
        "agents/a.yaml:3:1: temperature: the agent's profile is not valid: temperature must be 0 to 2"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\ntop_p: 1000000"),
        "agents/a.yaml:3:1: top_p: the agent's profile is not valid: top_p must be more than 0 and at \
         most 1"
    );
    assert_eq!(
        agent("name: Helper", "name: Helper\ntimeout: 2d"),
        "agents/a.yaml:3:1: timeout: the agent's profile is not valid: timeout must be more than zero \
         and at most one day"
    );
    assert_eq!(
        agent("name: Helper", "name: \" \""),
        "agents/a.yaml:2:1: name: the agent's profile is not valid: name must not be empty"
    );
    assert_eq!(
        template("{{ who }}", "{{ whom }}"),
        "templates/t.yaml:9:1: instructions: the instructions use whom, which are no parameters of the \
         template"
    );
    assert_eq!(
        template("{{ who }}", "{{ who "),
        "templates/t.yaml:9:1: instructions: template `greet`: syntax error: unexpected end of input, \
         expected identifier or integer (in <string>:1)"
    );
    assert_eq!(
        template("type: object", "type: array"),
        "templates/t.yaml:4:1: parameters: must be a JSON Schema of type `object`"
    );
    assert_eq!(
        workflow("needs: [greet]", "needs: [nobody]"),
        "workflows/w.yaml:15:11: step `again` needs `nobody`, but there is no step of that name\n\
         workflows/w.yaml:21:12: step `again`, input `who`: `steps.greet.text` reads `steps.greet.text`, \
         but this step does not wait for it; add `greet` to its needs"
    );
    assert_eq!(
        workflow("  - name: greet\n", "  - name: greet\n    needs: [again]\n"),
        "workflows/w.yaml:16:11: steps wait for each other in a circle: again -> greet -> again"
    );
    assert_eq!(
        workflow("name: again", "name: greet"),
        "workflows/w.yaml:15:11: two steps are called `greet`; step names must be unique\n\
         workflows/w.yaml:15:11: steps wait for each other in a circle: greet -> greet"
    );
    assert_eq!(
        workflow("who: input.who", "who: input.whom"),
        "workflows/w.yaml:14:12: step `greet`, input `who`: `input.whom` reads `input.whom`, but the \
         input schema has no such property"
    );
    assert_eq!(
        workflow("    needs: [greet]\n", ""),
        "workflows/w.yaml:20:12: step `again`, input `who`: `steps.greet.text` reads `steps.greet.text`, \
         but this step does not wait for it; add `greet` to its needs"
    );
    assert_eq!(
        workflow("needs: [greet]", "needs: [greet]\n    retry: { multiplier: 0.5 }"),
        "workflows/w.yaml:15:11: step `again`: retry.multiplier must be 1 to 10"
    );
    assert_eq!(
        workflow("needs: [greet]", "needs: [greet]\n    timeout: 0s"),
        "workflows/w.yaml:15:11: step `again`: timeout must be more than zero and at most one day"
    );
    assert_eq!(
        workflow("type: object", "type: array"),
        "workflows/w.yaml:4:1: input_schema: the input schema must be a JSON Schema of type `object`"
    );
    assert_eq!(
        wrong("workflows/w.yaml", format!("{WORKFLOW}output: {{ all: steps.none.text }}\n")),
        "workflows/w.yaml:22:16: run output `all`: `steps.none.text` reads `steps.none.text`, but there \
         is no step of that name"
    );
}

#[test]
fn schemas_and_their_samples_are_checked() {
    assert_eq!(
        workflow("{ type: string }", "{ type: text }"),
        "workflows/w.yaml:4:1: input_schema: is no JSON Schema: \"text\" is not valid under any of the \
         schemas listed in the 'anyOf' keyword (at /properties/who/type)"
    );
    assert_eq!(
        workflow("{ type: string }", "{ $ref: \"https://example.com/who.json\" }"),
        "workflows/w.yaml:4:1: input_schema: is no JSON Schema: Resource 'https://example.com/who.json' \
         is not present in a registry and retrieving it failed: `resolve-http` feature or a custom \
         resolver is required to resolve external schemas via HTTP"
    );
    assert_eq!(
        workflow("{ type: string }", "{ type: string, default: 3 }"),
        "workflows/w.yaml:4:1: input_schema: the default of `who` does not fit its own schema: 3 is not \
         of type \"string\""
    );
    assert_eq!(
        workflow("{ type: string }", "{ type: string, examples: [Mona, 3] }"),
        "workflows/w.yaml:4:1: input_schema: example 2 of `who` does not fit its own schema: 3 is not of \
         type \"string\""
    );
    assert_eq!(
        template("type: object", "type: object\n  examples: [{ who: Mona }, {}]"),
        "templates/t.yaml:6:3: parameters.examples[1]: example 2 does not fit its own schema: \"who\" is a \
         required property\n\
         templates/t.yaml:6:3: parameters.examples[1]: example 2 cannot be rendered: undefined value: `who` is \
         undefined (in <string>:1); give the parameter a \
         `default`, require it, or ask whether it `is defined`"
    );
    assert_eq!(
        template("required: [who]", "examples: [{}]"),
        "templates/t.yaml:6:3: parameters.examples[0]: example 1 cannot be rendered: undefined value: `who` is \
         undefined (in <string>:1); give the parameter a \
         `default`, require it, or ask whether it `is defined`"
    );
}

#[test]
fn a_workflow_must_fit_what_is_around_it() {
    assert_eq!(
        unfit("agent: helper", "agent: nobody"),
        "workflows/w.yaml:11:12: step `greet` asks for the agent `nobody`, which does not exist; known \
         are helper"
    );
    assert_eq!(
        unfit("template: greet", "template: wave"),
        "workflows/w.yaml:12:15: step `greet` uses the template `wave`, which does not exist; known are \
         greet"
    );
    assert_eq!(
        unfit("who: input.who", "who: input.who\n      when: input.who"),
        "workflows/w.yaml:15:13: step `greet` gives `when`, which is no parameter of the template \
         `greet`; it has who"
    );
    assert_eq!(
        unfit("    input:\n      who: input.who\n", ""),
        "workflows/w.yaml:9:11: step `greet` does not give `who`, which the template `greet` requires; \
         add it to the input"
    );
}

#[test]
fn a_workflow_may_name_what_is_known_elsewhere() {
    let catalog = Catalog::from_files([("workflows/w.yaml", WORKFLOW)]).unwrap();
    assert_eq!(catalog.check().len(), 4);
    let body = parse_template("t", TEMPLATE).unwrap();
    let elsewhere = Known {
        workflows: BTreeMap::new(),
        agents: BTreeSet::from(["helper".parse().unwrap()]),
        templates: BTreeMap::from([(body.key.clone(), Arc::new(body))]),
    };
    assert_eq!(catalog.check_against(&elsewhere), []);
}

#[test]
fn all_that_is_wrong_is_reported_at_once() {
    let files = [
        ("agents/one.yaml", AGENT.replace("name:", "nmae:")),
        ("templates/t.yaml", TEMPLATE.replace("{{ who }}", "{{ whom }}")),
        ("workflows/w.yaml", WORKFLOW.replace("input.who", "input.whom").replace("[greet]", "[nobody]")),
        ("prices/p.yaml", "a: 1".to_owned()),
        ("loose.yaml", "a: 1".to_owned()),
    ];
    let errors = Catalog::from_files(files).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "agents/one.yaml:2:1: nmae: unknown field `nmae`, expected one of key, name, description, \
         department, capabilities, tags, system_prompt, constraints, platform, fallback_platforms, model, \
         residency, temperature, max_tokens, top_p, frequency_penalty, presence_penalty, timeout, cost_limit_usd, \
         self_review, context_window, languages\n\
         templates/t.yaml:9:1: instructions: the instructions use whom, which are no parameters of the \
         template\n\
         workflows/w.yaml:15:11: step `again` needs `nobody`, but there is no step of that name\n\
         workflows/w.yaml:14:12: step `greet`, input `who`: `input.whom` reads `input.whom`, but the \
         input schema has no such property\n\
         workflows/w.yaml:21:12: step `again`, input `who`: `steps.greet.text` reads `steps.greet.text`, \
         but this step does not wait for it; add `greet` to its needs\n\
         prices/p.yaml: a catalogue file stands below a folder agents, templates, workflows, triggers or asks, which \
         says what it describes\n\
         loose.yaml: a catalogue file stands below a folder agents, templates, workflows, triggers or asks, which says \
         what it describes"
    );
}

#[test]
fn two_files_cannot_describe_the_same_thing() {
    let files = [("agents/a.yaml", AGENT), ("templates/t.yaml", TEMPLATE), ("agents/b.yaml", AGENT)];
    assert_eq!(
        Catalog::from_files(files).unwrap_err().to_string(),
        "agents/b.yaml: the agent `helper` is described in agents/a.yaml too; keys must be unique"
    );
}

#[test]
fn a_directory_is_read_by_its_folders() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let relative = |errors: CatalogErrors| errors.to_string().replace(&directory.path().display().to_string(), "DIR");
    assert_eq!(
        relative(Catalog::read_dir(directory.path()).unwrap_err()),
        "DIR: is no catalogue: there is no folder agents, templates, workflows, triggers or asks in it"
    );
    assert_eq!(
        relative(Catalog::read_dir(at("missing")).unwrap_err()),
        "DIR/missing: is no catalogue: there is no folder agents, templates, workflows, triggers or asks in it"
    );

    fs::create_dir(at("agents")).unwrap();
    fs::create_dir(at("prices")).unwrap();
    fs::write(at("agents/a.yaml"), AGENT).unwrap();
    fs::write(at("agents/notes.txt"), "not YAML: [").unwrap();
    fs::write(at("prices/p.yaml"), "a: 1").unwrap();
    let catalog = Catalog::read_dir(directory.path()).unwrap();
    assert_eq!((catalog.agents.len(), catalog.templates.len(), catalog.workflows.len()), (1, 0, 0));

    fs::write(at("agents/b.yml"), vec![b' '; MAX_FILE + 1]).unwrap();
    fs::write(at("agents/c.yaml"), b"\xff").unwrap();
    assert_eq!(
        relative(Catalog::read_dir(directory.path()).unwrap_err()),
        "DIR/agents/b.yml: is larger than 1 MiB, the most that a catalogue file may have\n\
         DIR/agents/c.yaml: is not UTF-8; the first wrong byte is byte 0 (counted from 0)"
    );
}

/// What we promise of the library that comes with the program.
#[test]
fn the_library_serves_every_department() {
    let catalog = Catalog::starter().unwrap();
    let counts = catalog.counts();
    assert!(
        counts.agents >= 20 && counts.templates >= 360 && counts.workflows >= 40 && counts.triggers >= 6,
        "{counts:?}"
    );
    for department in DEPARTMENTS {
        let templates = catalog.templates.iter().filter(|body| body.department == department).count();
        let workflows = catalog.workflows.iter().filter(|flow| flow.department == department).count();
        assert!(templates >= 20 && workflows >= 2, "{department}: {templates} templates, {workflows} workflows");
    }
    let found = |body: &&TemplateBody| !body.is_by_name_only();
    for template in catalog.templates.iter().filter(found) {
        let asks = catalog.asks.get(&template.key);
        let both = asks.is_some_and(|asks| asks.en.len() >= 5 && asks.ar.len() >= 5);
        assert!(both, "{} has too few ways of asking", template.key);
    }
    for capability in domain::Capability::ALL {
        let able = catalog.agents.iter().any(|agent| agent.capabilities.contains(&capability));
        assert!(able, "no agent can {}", capability.name());
    }
}
