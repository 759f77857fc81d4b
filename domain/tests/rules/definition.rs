use std::time::Duration;

use domain::{Definition, DefinitionError, Expression, Step, StepName};
use serde_json::json;

use super::fixtures::{definition, diamond, mapping, name, reading, step, task_of};

fn errors(definition: &Definition) -> Vec<DefinitionError> {
    definition.validate().unwrap_err()
}

fn messages(definition: &Definition) -> Vec<String> {
    errors(definition).iter().map(ToString::to_string).collect()
}

fn cycle(steps: Vec<Step>) -> Vec<String> {
    match errors(&definition(steps)).as_slice() {
        [DefinitionError::Cycle { cycle }] => cycle.iter().map(StepName::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_definition_is_good() {
    assert_eq!(diamond().validate(), Ok(()));
    let input = [("topic", "input.topic"), ("all", "steps"), ("draft", "join(', ', [steps.a.text])")];
    let mapped = Step {
        output: mapping(&[("text", "result.text"), ("first", "result.json.items[0].name"), ("whole", "result")]),
        ..reading("b", &["a"], &input)
    };
    let last = reading("c", &["b"], &[("x", "steps.b.first"), ("y", "steps.a.text")]);
    let output = mapping(&[("a", "steps.a.text"), ("b", "steps.b.whole.deeper"), ("topic", "input.topic.name")]);
    let good = Definition { output, ..definition(vec![last, mapped, step("a", &[])]) };
    assert_eq!(good.validate(), Ok(()));
    assert_eq!(good.step(&name("b")).unwrap().needs, [name("a")]);
    assert!(good.step(&name("d")).is_none());
}

#[test]
fn the_number_of_steps_is_bounded() {
    assert_eq!(errors(&definition(vec![])), [DefinitionError::NoSteps]);
    let chain = |count: usize| {
        let named = |number: usize| format!("s{number}");
        let steps = (0..count).map(|number| match number {
            0 => step("s0", &[]),
            _ => step(&named(number), &[&named(number - 1)]),
        });
        definition(steps.collect())
    };
    assert_eq!(chain(Definition::MAX_STEPS).validate(), Ok(()));
    assert_eq!(errors(&chain(Definition::MAX_STEPS + 1)), [DefinitionError::TooManySteps { count: 1001 }]);
}

/// Everybody waits for everybody before, and every step reads the first: the worst graph that is allowed.
#[test]
fn the_densest_graph_is_checked() {
    let names: Vec<String> = (0..Definition::MAX_STEPS).map(|number| format!("s{number}")).collect();
    let steps = names.iter().enumerate().map(|(number, called)| {
        let needs: Vec<&str> = names[..number].iter().map(String::as_str).collect();
        reading(called, &needs, if number == 0 { &[] } else { &[("x", "steps.s0.text")] })
    });
    let dense = definition(steps.collect());
    // Following every path instead of every edge would keep this test running for minutes, and so be noticed.
    assert_eq!(dense.validate(), Ok(()));
}

#[test]
fn names_are_unique() {
    let twice = definition(vec![step("a", &[]), step("b", &[]), step("a", &[])]);
    assert_eq!(errors(&twice), [DefinitionError::DuplicateStep { name: name("a") }]);
    assert_eq!(messages(&twice), ["two steps are called `a`; step names must be unique"]);
}

#[test]
fn needs_must_exist() {
    let unknown = definition(vec![step("a", &["ghost"]), step("b", &["a", "phantom"])]);
    assert_eq!(
        messages(&unknown),
        [
            "step `a` needs `ghost`, but there is no step of that name",
            "step `b` needs `phantom`, but there is no step of that name"
        ]
    );
}

#[test]
fn a_circle_is_named_in_full() {
    assert_eq!(cycle(vec![step("a", &["a"])]), ["a", "a"]);
    assert_eq!(cycle(vec![step("a", &["b"]), step("b", &["a"])]), ["a", "b", "a"]);
    // Steps that merely lead into the circle are not part of it.
    let steps = vec![step("x", &["b"]), step("a", &["c"]), step("b", &["a"]), step("c", &["b"]), step("free", &[])];
    assert_eq!(cycle(steps), ["a", "c", "b", "a"]);
    let circle = definition(vec![step("a", &["b"]), step("b", &["a"])]);
    assert_eq!(messages(&circle), ["steps wait for each other in a circle: a -> b -> a"]);
}

#[test]
fn a_circle_of_all_steps_does_not_exhaust_the_stack() {
    let named = |number: usize| format!("s{number}");
    let steps = (0..1000).map(|number| step(&named(number), &[&named((number + 1) % 1000)]));
    assert_eq!(cycle(steps.collect()).len(), 1001);
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let mut twice = step("a", &["ghost"]);
    task_of(&mut twice).attempt_timeout = Duration::ZERO;
    let wrong = Definition { input_schema: json!("object"), ..definition(vec![step("a", &[]), twice]) };
    let found = errors(&wrong);
    assert!(matches!(
        found.as_slice(),
        [
            DefinitionError::InputSchemaNotObject,
            DefinitionError::DuplicateStep { .. },
            DefinitionError::OutOfRange { .. },
            DefinitionError::UnknownStep { .. },
        ]
    ));
}

/// What is wrong with a step `b` that has this input mapping; `a` comes before it, `z` does not.
fn input_error(source: &str) -> String {
    let wrong = reading("b", &["a"], &[("x", source)]);
    let produces = Step { output: mapping(&[("words", "result.text")]), ..step("z", &[]) };
    let wrong = definition(vec![step("a", &[]), wrong, produces]);
    match wrong.validate().map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>()) {
        Err(messages) if messages.len() == 1 => messages[0].clone(),
        other => panic!("{source}: {other:?}"),
    }
}

fn output_error(source: &str) -> String {
    let wrong = Step { output: mapping(&[("x", source)]), ..step("a", &[]) };
    messages(&definition(vec![wrong])).join("; ")
}

fn run_output_error(source: &str) -> String {
    let produces = Step { output: mapping(&[("words", "result.text")]), ..step("a", &[]) };
    messages(&Definition { output: mapping(&[("x", source)]), ..definition(vec![produces]) }).join("; ")
}

#[test]
fn input_mappings_to_nowhere_are_found_in_every_form() {
    assert_eq!(
        input_error("steps.z.words"),
        "step `b`, input `x`: `steps.z.words` reads `steps.z.words`, but this step does not wait for it; add `z` to \
         its needs"
    );
    assert!(input_error("result.text").ends_with("reads `result.text`, but a mapping reads only `input` and `steps`"));
    assert!(
        input_error("inputs.topic").ends_with("reads `inputs.topic`, but a mapping reads only `input` and `steps`")
    );
    assert!(input_error("input.tpic").ends_with("reads `input.tpic`, but the input schema has no such property"));
    assert!(input_error("steps.ghost.text").ends_with("but there is no step of that name"));
    assert!(input_error("steps.a.txt").ends_with("reads `steps.a.txt`, but that step's output has no such value"));
    assert!(input_error("steps.b.text").contains("add `b` to its needs"));
    // Wherever the path stands in the expression.
    let forms = [
        "length(steps.ghost.text)",
        "[steps.a.text, steps.ghost.text]",
        "{one: steps.a.text, two: steps.ghost.text}",
        "steps.ghost.text || input.topic",
        "input.topic && steps.ghost.text",
        "steps.ghost.text == `1`",
        "!(steps.ghost.text)",
        "steps.ghost.list[0]",
        "steps.ghost.list[*].name",
        "steps.ghost.list[]",
        "steps.ghost.list[?x == `1`]",
        "steps.ghost.*",
        "steps.ghost.text | length(@)",
        "sort_by(steps.ghost.list, &name)",
        "\"steps\".\"ghost\"",
        "steps.ghost",
    ];
    for form in forms {
        assert!(input_error(form).contains("reads `steps.ghost"), "{form}: {}", input_error(form));
    }
}

#[test]
fn output_mappings_read_the_result_alone() {
    for source in ["input.topic", "steps.a.text", "text", "length(text)"] {
        assert!(output_error(source).ends_with("but an output mapping reads only `result`"), "{source}");
    }
    assert_eq!(
        output_error("result.txt"),
        "step `a`, output `x`: `result.txt` reads `result.txt`, but `result` has only `text` and `json`"
    );
}

#[test]
fn the_runs_output_reads_every_step() {
    assert!(run_output_error("steps.a.text").ends_with("but that step's output has no such value"));
    assert!(run_output_error("steps.b.text").starts_with("run output `x`: "));
    assert!(run_output_error("result.text").ends_with("but a mapping reads only `input` and `steps`"));
    assert!(run_output_error("input.tpic").ends_with("but the input schema has no such property"));
    let fine = Definition { output: mapping(&[("x", "steps.a.text"), ("y", "steps")]), ..diamond() };
    assert_eq!(fine.validate(), Ok(()));
}

#[test]
fn a_schema_without_properties_allows_every_input() {
    let reads = reading("a", &[], &[("x", "input.anything")]);
    let open = Definition { input_schema: json!({ "type": "object" }), ..definition(vec![reads]) };
    assert_eq!(open.validate(), Ok(()));
}

#[test]
fn an_expression_that_slipped_in_unread_is_found() {
    let mut unread = step("a", &[]);
    task_of(&mut unread).input = [(name("x"), Expression::trusted("a b c"))].into();
    assert!(matches!(
        errors(&definition(vec![unread])).as_slice(),
        [DefinitionError::BadExpression { place, .. }] if place == "step `a`, input `x`"
    ));
}
