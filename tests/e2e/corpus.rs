//! Workflows that the program is killed in, at every write that they cause, whatever keeps the journal.

use std::process::Command;

use serde_json::Value;

use crate::program::{Home, until_shown_ended};

/// A workflow that is killed at each of its appends.
pub(crate) struct Corpus {
    pub(crate) workflow: &'static str,
    /// Its files, besides the starter catalogue.
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) inputs: &'static [&'static str],
    /// How it ends.
    pub(crate) status: &'static str,
    /// How many tasks it has, and how many of them end with an answer.
    pub(crate) tasks: (i64, i64),
    /// How many appends it has at least.
    pub(crate) appends: usize,
}

impl Corpus {
    /// Loads what the run needs.
    pub(crate) fn load(&self, home: &Home, command: impl Fn(&[&str]) -> Command) {
        assert!(command(&["catalog", "load"]).output().unwrap().status.success());
        for (name, text) in self.files {
            home.write(name, text);
        }
        if !self.files.is_empty() {
            let loaded = command(&["catalog", "load", "catalog"]).output().unwrap();
            assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        }
    }

    /// What starts the run.
    pub(crate) fn start(&self, command: impl Fn(&[&str]) -> Command) -> Command {
        let mut command = command(&["run", self.workflow]);
        for input in self.inputs {
            command.args(["--input", input]);
        }
        command
    }
}

/// What the oldest run has to look like when it has ended, whatever happened on the way.
pub(crate) fn final_state(json: impl Fn(&[&str]) -> Value) -> Value {
    until_shown_ended(|| json(&["runs", "--json"]));
    let runs = json(&["runs", "--json"]);
    let run = runs["nodes"].as_array().unwrap_or_else(|| panic!("{runs}"));
    let id = run.last().unwrap_or_else(|| panic!("{runs}"))["runId"].as_str().unwrap_or_else(|| panic!("{runs}"));
    let shown = json(&["show", id, "--json"]);
    let steps: Vec<Value> = shown["steps"]
        .as_array()
        .unwrap_or_else(|| panic!("{shown}"))
        .iter()
        .map(|step| {
            // When a wait ended and which run was started differ from world to world.
            let mut output = step["output"].clone();
            for name in ["until", "run"] {
                if let Some(value) = output.get_mut(name) {
                    assert!(value.is_string(), "{value}");
                    *value = Value::Null;
                }
            }
            serde_json::json!({"name": step["name"], "status": step["status"], "output": output})
        })
        .collect();
    serde_json::json!({"status": shown["status"], "output": shown["output"], "steps": steps})
}

pub(crate) const WELCOME: Corpus = Corpus {
    workflow: "welcome",
    files: &[],
    inputs: &["file=@README.md"],
    status: "COMPLETED",
    tasks: (3, 3),
    // The start with its two steps; these may be settled together; the last step.
    appends: 3,
};

/// Every kind of step; the last one cannot be made, so what had been done is undone.
pub(crate) const EVERY_KIND: Corpus = Corpus {
    workflow: "every-kind",
    files: &[("catalog/workflows/every-kind.yaml", EVERY_KIND_FILE), ("catalog/workflows/inner.yaml", INNER_FILE)],
    inputs: &["words:=[\"one\",\"two\",\"three\"]", "sure:=false"],
    status: "FAILED",
    // The draft, three elements, the inner run's one, and the undoing of the draft.
    tasks: (6, 6),
    appends: 8,
};

const EVERY_KIND_FILE: &str = r#"
key: every-kind
name: Every kind
description: Every kind of step, one after the other.
input_schema:
  type: object
  properties: { words: { type: array }, sure: { type: boolean } }
steps:
  - name: draft
    title: Draft
    agent: generalist
    template: draft-text
    input: { subject: "'say hello'" }
    compensation: { agent: generalist, template: draft-text, input: { subject: "'take it back'" } }
  - name: each
    title: Each word
    needs: [draft]
    for_each: { over: input.words, max_parallel: 2 }
    agent: generalist
    template: draft-text
    input: { subject: item }
  - name: maybe
    title: Not needed
    needs: [draft]
    when: input.sure
    agent: generalist
    template: draft-text
    input: { subject: "'never'" }
  - name: ask
    title: Ask
    needs: [each, maybe]
    approval: { question: May it?, approvers: [anyone], expires_after: 300ms, on_expiry: approve }
  - name: rest
    title: Rest
    needs: [each]
    wait: { for: 200ms }
  - name: inner
    title: Another run
    needs: [ask, rest]
    run: { workflow: inner, input: { word: "'inner'" } }
  - name: broken
    title: Cannot be made
    needs: [inner]
    agent: generalist
    template: draft-text
    input: { subject: "abs('not a number')" }
"#;

const INNER_FILE: &str = r#"
key: inner
name: Inner
description: One step.
input_schema: { type: object, properties: { word: { type: string } } }
steps:
  - name: only
    title: Only
    agent: generalist
    template: draft-text
    input: { subject: input.word }
"#;
