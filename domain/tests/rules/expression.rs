use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Expression, Root, StepName};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::name;

/// What the library alone makes of an expression.
fn by_library(source: &str, scope: &Value) -> Value {
    let found = jmespath::compile(source).unwrap().search(scope.clone()).unwrap();
    serde_json::to_value(&*found).unwrap()
}

fn evaluate(source: &str, input: &Value, steps: &BTreeMap<StepName, Arc<Value>>) -> Value {
    let expression: Expression = source.parse().unwrap();
    expression.evaluate(&[("input", Root::Value(input)), ("steps", Root::Shared(steps))]).unwrap()
}

fn scope(input: &Value, steps: &BTreeMap<StepName, Arc<Value>>) -> Value {
    let steps: serde_json::Map<String, Value> =
        steps.iter().map(|(name, value)| (name.to_string(), (**value).clone())).collect();
    json!({ "input": input, "steps": steps })
}

/// Few names, so that paths often lead somewhere.
fn field() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "_c", "D1", "input", "steps", "true", "null", "length"])
        .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => vec((field(), inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn steps() -> impl Strategy<Value = BTreeMap<StepName, Arc<Value>>> {
    let names = proptest::sample::select(vec!["a", "b", "c"]).prop_map(name);
    btree_map(names, value().prop_map(Arc::new), 0..3)
}

fn path() -> impl Strategy<Value = Vec<String>> {
    let root = prop_oneof![4 => Just("input".to_owned()), 4 => Just("steps".to_owned()), 1 => field()];
    (root, vec(field(), 0..5)).prop_map(|(root, rest)| [vec![root], rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_short_way_is_the_librarys(path in path(), input in value(), steps in steps()) {
        let scope = scope(&input, &steps);
        let short = path.join(".");
        prop_assert_eq!(evaluate(&short, &input, &steps), by_library(&short, &scope));
        // Quoted names take the long way to the same place.
        let long = path.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(".");
        prop_assert_eq!(evaluate(&long, &input, &steps), evaluate(&short, &input, &steps));
    }

    #[test]
    fn no_text_panics(source in "\\PC{0,40}") {
        if let Ok(expression) = source.parse::<Expression>() {
            let _ = expression.references();
            let _ = expression.evaluate(&[("input", Root::Value(&json!({ "a": [1, { "b": "c" }] })))]);
        }
    }

    #[test]
    fn no_likely_text_panics(source in "[a-c.\\[\\]{}()*?&|!@,:'\"`0-9= -]{0,30}") {
        if let Ok(expression) = source.parse::<Expression>() {
            let _ = expression.references();
            let _ = expression.evaluate(&[("a", Root::Value(&json!({ "a": [1, { "b": "c" }] })))]);
        }
    }
}

#[test]
fn examples_of_the_language() {
    let input = json!({ "topic": "moon", "pages": [3, 1, 2], "people": [{ "name": "Ada" }, { "name": "Bo" }] });
    let steps = BTreeMap::from([(name("a"), Arc::new(json!({ "text": "x", "n": 18_446_744_073_709_551_615_u64 })))]);
    let cases = [
        ("input.topic", json!("moon")),
        ("input.nothing.at.all", Value::Null),
        ("input.topic.deeper", Value::Null),
        ("input.pages.first", Value::Null),
        ("nowhere", Value::Null),
        ("steps.a.text", json!("x")),
        ("steps.b.text", Value::Null),
        ("steps", json!({ "a": { "text": "x", "n": 18_446_744_073_709_551_615_u64 } })),
        ("input.pages[0]", json!(3)),
        ("sort(input.pages)", json!([1, 2, 3])),
        ("length(input.pages)", json!(3)),
        ("input.people[*].name", json!(["Ada", "Bo"])),
        ("input.people[?name == 'Bo'] | [0].name", json!("Bo")),
        ("{topic: input.topic, text: steps.a.text}", json!({ "topic": "moon", "text": "x" })),
        ("input.tone || 'plain'", json!("plain")),
        ("join(', ', input.people[].name)", json!("Ada, Bo")),
        ("`{\"b\": 1}`", json!({ "b": 1 })),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source, &input, &steps), expected, "{source}");
    }
}

#[test]
fn a_wrong_type_is_an_error_with_the_expression_in_it() {
    let expression: Expression = "length(input.number)".parse().unwrap();
    let error = expression.evaluate(&[("input", Root::Value(&json!({ "number": 1 })))]).unwrap_err();
    assert!(error.to_string().starts_with("expression `length(input.number)`: "), "{error}");
}

#[test]
fn what_is_no_expression_is_refused() {
    for source in ["", ".", "a.", ".a", "a..b", "a b", "a[", "nosuch(a)(", "'", "`{`", "a.1"] {
        assert!(source.parse::<Expression>().is_err(), "{source:?}");
    }
    let long = "a".repeat(Expression::MAX_LEN + 1);
    assert!(long.parse::<Expression>().unwrap_err().message.contains("longer than 4096 bytes"));
    assert!("a".repeat(Expression::MAX_LEN).parse::<Expression>().is_ok());
}

/// The longest expressions that nest; none may exhaust the thread's stack.
#[test]
fn deep_expressions_are_survived() {
    let fill = |open: &str, inner: &str, close: &str| {
        let count = (Expression::MAX_LEN - inner.len()) / (open.len() + close.len());
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    };
    let sources = [
        fill("(", "a", ")"),
        fill("!", "a", ""),
        fill("[", "a", "]"),
        fill("{a:", "a", "}"),
        fill("", "a", ".a"),
        fill("a||", "a", ""),
        fill("a|", "a", ""),
        fill("", "a", "[]"),
        fill("", "a", "[0]"),
        fill("", "a", ".*"),
        fill("not_null(", "a", ")"),
        fill("a[?", "a", "]"),
        fill("", "`1`", "<`1`"),
    ];
    for source in sources {
        if let Ok(expression) = source.parse::<Expression>() {
            let _ = expression.references();
            let _ = expression.evaluate(&[("a", Root::Value(&json!([[1]])))]);
        }
    }
}
