//! What the expressions of a definition may read, for every field that holds one.

use domain::workflow::{Approval, ForEach, ParentClose, SubRun, TaskWork, Wait, Work};
use domain::{Definition, Step};

use super::fixtures::{
    approval, child, definition, each, expression, mapping, reading, signal, step, task_work, undone, wait, working,
};

/// `a`, then the step under test, and `z` beside them.
fn around(tested: Step) -> Definition {
    definition(vec![step("a", &[]), tested, step("z", &[])])
}

fn messages(definition: &Definition) -> Vec<String> {
    definition.validate().err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Every field of a step `b` that holds an expression over `input` and `steps`, with this one in it.
fn everywhere(source: &str) -> Vec<(&'static str, Step)> {
    let (one, pairs) = (expression(source), mapping(&[("x", source)]));
    let over = |over, input| Work::ForEach(ForEach { over, max_parallel: 1, each: task_work(input) });
    let sub = SubRun {
        workflow: "other".parse().unwrap(),
        version: None,
        input: pairs.clone(),
        wait: true,
        on_parent_close: ParentClose::Cancel,
    };
    let after_a = |work| working("b", &["a"], work);
    vec![
        ("when", Step { when: Some(one.clone()), ..step("b", &["a"]) }),
        ("input `x`", after_a(Work::Task(task_work(pairs.clone())))),
        ("for_each.over", after_a(over(one.clone(), mapping(&[])))),
        ("input `x`", after_a(over(expression("input.topic"), pairs.clone()))),
        ("approval.content `x`", after_a(Work::Approval(Approval { content: pairs.clone(), ..approval() }))),
        ("wait.until", after_a(Work::Wait(Wait::Until(one)))),
        ("run.input `x`", after_a(Work::Run(sub))),
        ("compensation input `x`", Step { compensation: Some(Box::new(task_work(pairs))), ..step("b", &["a"]) }),
    ]
}

#[test]
fn every_field_may_read_the_input_and_the_steps_before() {
    for source in ["input.topic", "steps.a.text", "length(steps.a.text)", "input", "steps"] {
        for (field, step) in everywhere(source) {
            assert_eq!(messages(&around(step)), Vec::<String>::new(), "{field}: {source}");
        }
    }
}

#[test]
fn no_field_reads_what_is_not_there() {
    let wrong = [
        ("input.tpic", "but the input schema has no such property"),
        ("steps.ghost.text", "but there is no step of that name"),
        ("steps.z.text", "but this step does not wait for it; add `z` to its needs"),
        ("steps.a.json", "but that step's output has no such value"),
    ];
    for (source, why) in wrong {
        for (field, step) in everywhere(source) {
            let expected = format!("step `b`, {field}: `{source}` reads `{source}`, {why}");
            assert_eq!(messages(&around(step)), [expected]);
        }
    }
}

#[test]
fn only_what_is_done_for_each_element_knows_the_element() {
    for source in ["item", "index", "item.name", "length(item.name)"] {
        for (place, (field, step)) in everywhere(source).into_iter().enumerate() {
            let found = messages(&around(step));
            if place == 3 {
                assert_eq!(found, Vec::<String>::new(), "{field}: {source}");
            } else {
                assert!(found.len() == 1 && found[0].ends_with("but a mapping reads only `input` and `steps`"));
            }
        }
    }
    // What undoes the step is one task, and knows no element.
    let mut undo = working("b", &[], each("input.topic", 1));
    undo.compensation = Some(Box::new(task_work(mapping(&[("x", "item")]))));
    assert_eq!(messages(&around(undo)).len(), 1);
    let unknown = |input| TaskWork { input, ..task_work(mapping(&[])) };
    let each = ForEach { over: expression("input.topic"), max_parallel: 1, each: unknown(mapping(&[("x", "thing")])) };
    assert_eq!(
        messages(&around(working("b", &[], Work::ForEach(each)))),
        [
            "step `b`, input `x`: `thing` reads `thing`, but a mapping reads only `input` and `steps`, `item` and `index`"
        ]
    );
}

#[test]
fn what_undoes_a_step_knows_the_steps_own_output_and_no_later_one() {
    let undo =
        |source: &str| Step { compensation: Some(Box::new(task_work(mapping(&[("x", source)])))), ..step("b", &["a"]) };
    let with = |source: &str| {
        let later = step("c", &["b"]);
        messages(&definition(vec![step("a", &[]), undo(source), later]))
    };
    assert_eq!(with("steps.b.text"), Vec::<String>::new());
    assert_eq!(with("steps.a.text"), Vec::<String>::new());
    assert!(with("steps.b.json")[0].ends_with("but that step's output has no such value"));
    assert!(with("steps.c.text")[0].ends_with("add `c` to its needs"));
    assert!(with("result.text")[0].ends_with("but a mapping reads only `input` and `steps`"));
    // The step itself never reads its own output.
    assert!(messages(&around(reading("b", &["a"], &[("x", "steps.b.text")])))[0].ends_with("add `b` to its needs"));
    assert_eq!(messages(&around(undone(step("b", &["a"])))), Vec::<String>::new());
}

/// Each kind of work, what its result holds, and what the step's output is without a mapping.
fn kinds() -> Vec<(Work, &'static [&'static str], &'static [&'static str])> {
    vec![
        (Work::Task(task_work(mapping(&[]))), &["text", "json"], &["text"]),
        (each("input.topic", 2), &["items"], &["items"]),
        (Work::Approval(approval()), &["approved", "decisions", "content"], &["approved", "decisions", "content"]),
        (wait(1), &["until"], &["until"]),
        (signal("go"), &["payload"], &["payload"]),
        (child(true, ParentClose::Cancel), &["run", "output"], &["run", "output"]),
        (child(false, ParentClose::Cancel), &["run"], &["run"]),
    ]
}

#[test]
fn a_result_has_the_fields_of_its_kind() {
    let all = ["text", "json", "items", "approved", "decisions", "content", "until", "payload", "run", "output"];
    for (work, fields, plain) in kinds() {
        assert_eq!((work.result_fields(), work.default_fields()), (fields, plain));
        for field in all {
            let source = format!("result.{field}");
            let maps = Step { output: mapping(&[("x", &source)]), ..working("b", &["a"], work.clone()) };
            let found = messages(&around(maps));
            assert_eq!(found.is_empty(), fields.contains(&field), "{}: {field}: {found:?}", work.kind());

            // Without a mapping, later steps and the run's output read the kind's own fields.
            let source = format!("steps.b.{field}");
            let reads = reading("c", &["b"], &[("x", &source)]);
            let steps = vec![step("a", &[]), working("b", &["a"], work.clone()), reads];
            let whole = Definition { output: mapping(&[("x", &source)]), ..definition(steps) };
            let expected = if plain.contains(&field) { 0 } else { 2 };
            assert_eq!(messages(&whole).len(), expected, "{}: {field}", work.kind());
        }
    }
}

#[test]
fn what_a_result_holds_is_told_in_the_refusal() {
    let wrong = |work| {
        let maps = Step { output: mapping(&[("x", "result.ghost")]), ..working("b", &[], work) };
        messages(&around(maps)).join("; ")
    };
    let told = [
        (wait(1), "but `result` has only `until`"),
        (Work::Approval(approval()), "but `result` has only `approved`, `decisions` and `content`"),
        (child(true, ParentClose::Abandon), "but `result` has only `run` and `output`"),
    ];
    for (work, why) in told {
        assert_eq!(wrong(work), format!("step `b`, output `x`: `result.ghost` reads `result.ghost`, {why}"));
    }
}
