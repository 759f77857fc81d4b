#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use domain::task::{ActionItem, Priority};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn todo(what: &str, owner: Option<&str>, due: Option<&str>, priority: Option<Priority>) -> ActionItem {
    let own = |text: Option<&str>| text.map(str::to_owned);
    ActionItem { what: what.to_owned(), owner: own(owner), due: own(due), priority }
}

const ENGLISH: &str = "\
## Summary
The contract is sound.

## Results
### Findings
- Clause 4 is vague.

```markdown
## Critique
this is an example
```

## Suggested improvements
1. Name the currency.
2. Shorten clause 9,
   which repeats clause 2.

## Critique
It trusts the annex.

## Alternatives
None

## Action items
- Ask finance about the cap | owner: Huda | due: 2026-12-01 | priority: high
- **Sign** (owner: legal; priority: low)
- File it

## Quality
score: 8/10
- accuracy: 9/10
- clarity: 7.5/10";

#[test]
fn headed_markdown_is_read() {
    let Reading { output, is_structured } = read(ENGLISH);
    assert!(is_structured);
    assert_eq!(output.summary.as_deref(), Some("The contract is sound."));
    // A heading within a program, or deeper than the parts, is none of a part.
    assert!(output.results.starts_with("### Findings") && output.results.ends_with("```"), "{}", output.results);
    let improvements = ["Name the currency.".to_owned(), "Shorten clause 9,\n   which repeats clause 2.".to_owned()];
    assert_eq!(output.improvements.as_deref(), Some(&improvements[..]));
    assert_eq!(output.critique.as_deref(), Some("It trusts the annex."));
    assert_eq!(output.alternatives, Some(vec![]), "it said that there are none");
    let actions = vec![
        todo("Ask finance about the cap", Some("Huda"), Some("2026-12-01"), Some(Priority::High)),
        todo("Sign", Some("legal"), None, Some(Priority::Low)),
        todo("File it", None, None, None),
    ];
    assert_eq!(output.actions, Some(actions));
    let rating = output.rating.unwrap();
    assert_eq!(rating.score.to_string(), "8");
    let parts: Vec<String> = rating.parts.iter().map(|part| format!("{} {}", part.name, part.score)).collect();
    assert_eq!(parts, ["accuracy 9", "clarity 7.5"]);
}

#[test]
fn arabic_is_read() {
    let text = "**الملخّص:** العقد سليم.\n\n**النتائج**\nالبند الرابع غامض.\n\n**التحسينات المقترحة:**\n- تحديد العملة\n\n\
                ## النقد المهني\nيعتمد على الملحق.\n\nالبدائل:\nلا يوجد\n\n### بنود العمل\n\
                | الإجراء | المسؤول | الموعد النهائي | الأولوية |\n|---|---|---|---|\n| سؤال المالية | هدى | ٢٠٢٦-١٢-٠١ | عالية |\n\n\
                **التقييم:** ٨ من ١٠";
    let Reading { output, is_structured } = read(text);
    assert!(is_structured);
    assert_eq!(output.summary.as_deref(), Some("العقد سليم."));
    assert_eq!(output.results, "البند الرابع غامض.");
    assert_eq!(output.improvements, Some(vec!["تحديد العملة".to_owned()]));
    assert_eq!(output.critique.as_deref(), Some("يعتمد على الملحق."));
    assert_eq!(output.alternatives, Some(vec![]));
    let action = todo("سؤال المالية", Some("هدى"), Some("2026-12-01"), Some(Priority::High));
    assert_eq!(output.actions, Some(vec![action]));
    assert_eq!(output.rating.unwrap().score.to_string(), "8");
}

#[test]
fn json_is_read_also_when_it_is_half_broken() {
    let whole = json!({
        "summary": "Sound.", "results": "Clause 4 is \"vague\".\nReally.", "suggestedImprovements": ["Name the currency"],
        "critique": null, "alternatives": [], "quality": { "score": 8, "parts": { "accuracy": 9 } },
        "action_items": [{ "task": "Ask finance", "assignee": "Huda", "deadline": "2026/12/01", "priority": "urgent" }],
    });
    let texts = [
        whole.to_string(),
        format!("Here it is:\n```json\n{}\n```\nAnything else?", serde_json::to_string_pretty(&whole).unwrap()),
        // Commas too many, a comment, other quotes, line ends within texts, quotes not escaped, and no end.
        "{\n  // the parts\n  'summary': 'Sound.',\n  results: \"Clause 4 is \"vague\".\nReally.\",\n  \"suggestedImprovements\": \
         [\"Name the currency\",],\n  \"critique\": None, \"alternatives\": [], \"quality\": {\"score\": 8, \"parts\": {\"accuracy\": 9}},\n  \
         \"action_items\": [{\"task\": \"Ask finance\", \"assignee\": \"Huda\", \"deadline\": \"2026/12/01\", \"priority\": \"urgent\""
            .to_owned(),
    ];
    for text in texts {
        let Reading { output, is_structured } = read(&text);
        assert!(is_structured, "{text}");
        assert_eq!(output.summary.as_deref(), Some("Sound."), "{text}");
        assert_eq!(output.results, "Clause 4 is \"vague\".\nReally.", "{text}");
        assert_eq!(output.improvements, Some(vec!["Name the currency".to_owned()]), "{text}");
        assert_eq!((output.critique, output.alternatives), (None, Some(vec![])), "{text}");
        let action = todo("Ask finance", Some("Huda"), Some("2026-12-01"), Some(Priority::High));
        assert_eq!(output.actions, Some(vec![action]), "{text}");
        assert_eq!(output.rating.unwrap().parts[0].score.to_string(), "9", "{text}");
    }
}

#[test]
fn what_has_no_form_is_all_results_and_nothing_is_invented() {
    for text in ["Just an answer.\n\nWith two paragraphs.", "{\"a\": 1}", "# A report\n\n## Findings\n\nNone.", ""] {
        let Reading { output, is_structured } = read(text);
        assert!(!is_structured);
        assert_eq!(output.results, text);
        let Output { summary, improvements, critique, alternatives, actions, rating, .. } = output;
        assert_eq!(
            (summary, critique, improvements, alternatives, actions, rating),
            (None, None, None, None, None, None)
        );
    }
}

#[test]
fn data_is_all_of_an_answer_or_what_is_in_a_fence() {
    let data = Some(json!({ "a": 1 }));
    for text in ["{\"a\": 1}", " {\"a\": 1}\n", "See:\n```json\n{\"a\": 1}\n```"] {
        assert_eq!((read(text).output.data, read_data(text)), (data.clone(), data.clone()), "{text}");
    }
    for text in ["1", "\"a\"", "It is {\"a\": 1}.", ""] {
        assert_eq!((read(text).output.data, read_data(text)), (None, None), "{text}");
    }
}

#[test]
fn data_comes_from_the_fence() {
    let text = "## Summary\nx\n## Results\nSee:\n```json\n{ \"risk\": 3, }\n```\n## Critique\ny";
    let output = read(text).output;
    assert_eq!(output.data, Some(json!({ "risk": 3 })));
    assert!(output.results.contains("```json"));
}

#[test]
fn marks_are_from_one_to_ten() {
    for (text, mark) in
        [("8", "8"), ("8/10", "8"), ("**9.25** / 10", "9.25"), ("7,5 out of 10", "7.5"), ("٨/١٠", "8"), ("10", "10")]
    {
        assert_eq!(lists::score(text).map(|score| score.to_string()).as_deref(), Some(mark), "{text}");
    }
    for text in ["0", "11", "80%", "4/5", "80/100", "high", "", "-3"] {
        assert_eq!(lists::score(text), None, "{text}");
    }
}

proptest! {
    /// No text makes it fail, and what it says of an answer stands in the answer.
    #[test]
    fn nothing_is_invented(text in "(## (Summary|Results|Critique|Action items|Quality|النتائج)\n|[-#*|:{}\\[\\]\"',`~.\n ]|[a-z0-9]|[\u{621}-\u{64A}]|\u{0}){0,120}") {
        let output = read(&text).output;
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        for said in [output.summary, output.critique].into_iter().flatten() {
            prop_assert!(letters(&text).contains(&letters(&said)) || text.contains('{'), "{said}");
        }
        for action in output.actions.into_iter().flatten() {
            prop_assert!(!action.what.trim().is_empty());
        }
    }

    /// Whatever is correct JSON is read as it is.
    #[test]
    fn correct_json_is_read_as_it_is(text in "[ -~\u{600}-\u{64A}\n\"\\\\]{0,40}", number in any::<i64>()) {
        let value = json!({ "a": [text, number, null, true], "b": {} });
        prop_assert_eq!(parse_json(&value.to_string()), Some(value));
    }

    /// JSON that was cut off is read as far as it goes.
    #[test]
    fn cut_json_is_read_as_far_as_it_goes(cut in 0_usize..200) {
        let value = json!({ "summary": "one", "results": "two\nthree", "list": [1, 2, { "x": "y" }], "quality": 7 }).to_string();
        let cut = value.get(..cut.min(value.len())).unwrap();
        if let Some(found) = parse_json(cut) {
            prop_assert!(found.is_object() || cut.is_empty());
        }
    }
}
