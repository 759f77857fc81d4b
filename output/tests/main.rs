//! Reports in every format, opened again by readers of those formats.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

use std::io::{Cursor, Read};

use domain::task::{Checked, Quality, QualitySource, Score};
use domain::{Bilingual, Language};
use output::{Failure, Format, Mark, Outcome, Part, Report, render};
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Value, json};

fn part(step: &str, output: Value) -> Part {
    Part {
        step: step.to_owned(),
        title: Bilingual { en: format!("The step {step}"), ar: Some(format!("الخطوة {step}")) },
        status: "completed".to_owned(),
        agent: Some("analyst".to_owned()),
        template: Some("brief".to_owned()),
        simulated: false,
        error: None,
        skip_reason: None,
        output: Some(output),
    }
}

fn report(results: Value, steps: Vec<Part>) -> Report {
    Report {
        run: "0190f7a2-0000-7000-8000-000000000001".to_owned(),
        workflow: "contract-review".to_owned(),
        version: 3,
        title: Bilingual { en: "Contract review".to_owned(), ar: Some("مراجعة عقد".to_owned()) },
        status: "completed".to_owned(),
        simulated: false,
        started_at: "2026-11-26T02:47:20Z".parse().ok(),
        ended_at: "2026-11-26T02:49:00Z".parse().ok(),
        error: None,
        results: results.as_object().unwrap().clone(),
        steps,
        outcomes: vec![],
        compiled: output::Compiled::default(),
    }
}

fn text(report: &Report, format: Format, language: Option<Language>) -> String {
    String::from_utf8(render(report, format, language).unwrap()).unwrap()
}

const ARABIC: &str = "## الملخص\n\nالعقد **سليم** في مجمله، وينتهي في 31 ديسمبر (المادة 12).\n\n- البند الأول: راجع `ISO 27001`\n\n\
                      | البند | القيمة |\n|---|---|\n| المدة | 12 شهرًا |\n\n```sql\nSELECT 1;\n```";

fn arabic() -> Report {
    report(json!({ "review": ARABIC }), vec![part("review", json!({ "text": ARABIC }))])
}

/// Every element of well-formed XML, as `name attribute=value …`, and its text.
fn elements(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut depth) = (Vec::new(), 0_i32);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {xml}")) {
            event @ (Event::Start(_) | Event::Empty(_)) => {
                depth += i32::from(matches!(event, Event::Start(_)));
                let (Event::Start(element) | Event::Empty(element)) = event else { unreachable!() };
                let mut line = element.name().as_ref().to_owned();
                for attribute in element.attributes() {
                    let attribute = attribute.unwrap();
                    line.push_str(&format!(" {}={}", attribute.key.as_ref(), attribute.value));
                }
                found.push(line);
            }
            Event::End(_) => depth -= 1,
            Event::Text(text) => found.push(format!("'{}'", &*text)),
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "{xml}");
    found
}

fn files(docx: Vec<u8>) -> Vec<(String, String)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(docx)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        })
        .collect()
}

fn body(report: &Report) -> String {
    let files = files(render(report, Format::Docx, None).unwrap());
    files.iter().for_each(|(_, text)| drop(elements(text)));
    files.into_iter().find(|(name, _)| name == "word/document.xml").unwrap().1
}

#[test]
fn markdown_has_results_and_steps() {
    let steps = vec![
        part("points", json!({ "text": "# Points\n\n- one\n- two" })),
        part("brief", json!({ "text": "The brief." })),
    ];
    let written = text(&report(json!({ "brief": { "text": "The brief." } }), steps), Format::Markdown, None);
    assert!(written.starts_with("# Contract review\n"), "{written}");
    assert!(written.contains("**Workflow:** `contract-review` (version 3)"), "{written}");
    assert!(written.contains("**Ended:** 2026-11-26 02:49 UTC"), "{written}");
    assert!(written.contains("## Results\n\n### brief\n\nThe brief."), "{written}");
    assert!(written.contains("### The step points"), "{written}");
    // Headings of answers stand below those of the document, and what was shown is not shown again.
    assert!(written.contains("#### Points\n\n* one\n* two"), "{written}");
    assert_eq!(written.matches("The brief.").count(), 1, "{written}");
    assert!(written.contains("*Shown under the results.*"), "{written}");
}

#[test]
fn what_failed_and_what_was_simulated_is_said() {
    let mut failed = report(json!({}), vec![part("a", json!({ "text": "fine" })), part("b", Value::Null)]);
    failed.simulated = true;
    failed.status = "failed".to_owned();
    failed.error =
        Some(Failure { kind: "timeout".to_owned(), message: "no answer".to_owned(), step: Some("b".to_owned()) });
    failed.steps[0].simulated = true;
    failed.steps[1].status = "failed".to_owned();
    failed.steps[1].output = None;
    let written = text(&failed, Format::Markdown, None);
    for said in
        ["no model was asked for it", "**Failed at step** `b`: no answer (timeout)", "*The run has no results.*"]
    {
        assert!(written.contains(said), "{said}: {written}");
    }
    assert_eq!(written.matches("This was simulated").count(), 1);
}

#[test]
fn data_is_shown_as_people_read_it() {
    let results = json!({
        "score": 7,
        "risks": [{ "risk_name": "delay", "level": 2 }, { "risk_name": "cost", "level": 1 }],
        "open": ["who pays?"],
        "items": [{ "text": "**first**" }, { "text": "second\nline" }],
    });
    let written = text(&report(results, vec![]), Format::Markdown, None);
    assert!(written.contains("**score:** 7"), "{written}");
    assert!(written.contains("|risk name|level|") && written.contains("|delay|2|"), "{written}");
    assert!(written.contains("* who pays?"), "{written}");
    assert!(written.contains("#### Item 1\n\n**first**"), "{written}");
}

#[test]
fn an_arabic_page_goes_from_right_to_left() {
    let page = text(&arabic(), Format::Html, None);
    let found = elements(page.trim_start_matches("<!doctype html>\n"));
    assert_eq!(found[0], "html lang=ar dir=rtl");
    assert!(found.iter().any(|line| line == "'النتائج'"), "{found:#?}");
    assert!(found.iter().any(|line| line == "pre dir=ltr"), "{found:#?}");
    assert!(found.iter().any(|line| line == "'SELECT 1;'"), "{found:#?}");
    // Who wants the document's own words in English gets them, and the Arabic text goes its own way.
    let page = text(&arabic(), Format::Html, Some(Language::English));
    assert!(page.contains("<html lang=\"en\" dir=\"ltr\">") && page.contains("<p dir=\"rtl\">"), "{page}");
}

#[test]
fn nothing_that_a_model_wrote_becomes_markup() {
    let evil = "<script>alert('x')</script>\n\n[a](javascript:alert(1)) ![b](https://c.example/d.png)\n\n<img src=x onerror=alert(1)>";
    let page = text(&report(json!({ "a": evil }), vec![]), Format::Html, None);
    let found = elements(page.trim_start_matches("<!doctype html>\n"));
    let tags: Vec<&str> =
        found.iter().filter(|line| !line.starts_with('\'')).map(|line| line.split(' ').next().unwrap()).collect();
    assert!(!tags.contains(&"script") && !tags.contains(&"img"), "{tags:?}");
    assert!(page.contains("&lt;script&gt;"), "{page}");
    let links: Vec<&String> = found.iter().filter(|line| line.starts_with("a ")).collect();
    assert_eq!(links, ["a rel=noopener noreferrer nofollow href=https://c.example/d.png"]);
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_word_document_goes_from_right_to_left() {
    let body = body(&arabic());
    let found = elements(&body);
    let at =
        |wanted: &str| found.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("{wanted}: {found:#?}"));
    // The section, the table, the paragraphs and the runs say so, and each Latin term does not.
    for wanted in ["w:bidi", "w:bidiVisual", "w:rtl"] {
        at(wanted);
    }
    let latin = at("'ISO 27001'");
    assert!(!found[latin - 4..latin].contains(&"w:rtl".to_owned()), "{:?}", &found[latin - 6..latin]);
    let strong = at("'سليم'");
    assert_eq!(found[strong - 4..strong], ["w:b", "w:bCs", "w:rtl", "w:t xml:space=preserve"]);
    let code = at("'SELECT 1;'");
    assert!(!found[code - 6..code].contains(&"w:bidi".to_owned()), "{:?}", &found[code - 6..code]);
}

#[test]
fn a_word_document_has_all_its_parts() {
    let markdown = "1. one\n2. two\n   - three\n\ntext\n\n5. five\n\n[here](https://a.example/?b&c)";
    let report = report(json!({ "a": markdown }), vec![]);
    let files = files(render(&report, Format::Docx, None).unwrap());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "[Content_Types].xml");
    let file = |name: &str| &files.iter().find(|(own, _)| own == name).unwrap().1;
    let types = elements(file("[Content_Types].xml")).join("\n");
    for name in &names[2..] {
        assert!(name.ends_with(".rels") || types.contains(&format!("PartName=/{name}")), "{name}: {types}");
    }
    // Whatever the text points to is there.
    let body = elements(file("word/document.xml"));
    let numbering = elements(file("word/numbering.xml")).join("\n");
    let styles = elements(file("word/styles.xml")).join("\n");
    let relationships = elements(file("word/_rels/document.xml.rels")).join("\n");
    let mut pointed = 0;
    for line in &body {
        let value = |prefix: &str| line.strip_prefix(prefix).map(|rest| rest.split(' ').next().unwrap().to_owned());
        if let Some(id) = value("w:numId w:val=") {
            assert!(numbering.contains(&format!("w:num w:numId={id}")), "{line}");
            pointed += 1;
        }
        for prefix in ["w:pStyle w:val=", "w:rStyle w:val=", "w:tblStyle w:val="] {
            if let Some(style) = value(prefix) {
                assert!(styles.contains(&format!("w:styleId={style}")), "{line}");
                pointed += 1;
            }
        }
        if let Some(id) = value("w:hyperlink r:id=") {
            assert!(relationships.contains(&format!("Id={id} ")), "{line}");
            pointed += 1;
        }
    }
    assert!(pointed > 8, "{body:#?}");
    assert!(numbering.contains("w:startOverride w:val=5"), "{numbering}");
    assert!(relationships.contains("Target=https://a.example/?b&amp;c TargetMode=External"), "{relationships}");
    // The same report gives the same bytes.
    assert_eq!(render(&report, Format::Docx, None).unwrap(), render(&report, Format::Docx, None).unwrap());
}

#[test]
fn data_comes_back_as_it_was() {
    let report = arabic();
    let written = render(&report, Format::Json, None).unwrap();
    assert_eq!(serde_json::from_slice::<Report>(&written).unwrap(), report);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a model writes, each format stays well-formed.
    #[test]
    fn any_text_can_be_written(text in "([-#>*`~|<!+=&\"'0-9. \n\t]|[a-c]|[\u{0}-\u{20}]|[\u{600}-\u{64A}]|\u{FFFE}){0,80}") {
        let report = report(json!({ "a": text }), vec![]);
        body(&report);
        let page = String::from_utf8(render(&report, Format::Html, None).unwrap()).unwrap();
        elements(page.trim_start_matches("<!doctype html>\n"));
        render(&report, Format::Markdown, None).unwrap();
    }
}

#[test]
fn a_pdf_has_pages_bookmarks_links_and_its_text() {
    let long: String =
        (1..200).map(|line| format!("{line}. line number {line} of a [list](https://a.example/{line})\n")).collect();
    let report =
        report(json!({ "letter": long }), vec![part("one", json!({ "text": "| a | b |\n|---|---|\n| c | d |" }))]);
    let bytes = render(&report, Format::Pdf, None).unwrap();
    assert_eq!(bytes, render(&report, Format::Pdf, None).unwrap(), "the same report gives the same bytes");
    let pdf = lopdf::Document::load_mem(&bytes).unwrap();
    let pages: Vec<u32> = pdf.get_pages().into_keys().collect();
    assert!(pages.len() > 3, "{pages:?}");
    let text = pdf.extract_text(&pages).unwrap();
    for said in ["Contract review", "line number 199", "Results", "The step one"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(pdf.catalog().unwrap().has(b"Outlines"));
    let links = pdf.objects.values().filter_map(|object| object.as_dict().ok());
    let links = links.filter(|dictionary| {
        dictionary.get(b"Subtype").and_then(lopdf::Object::as_name).is_ok_and(|name| name == b"Link")
    });
    assert!(links.count() >= 199);
}

#[test]
fn an_arabic_pdf_is_made_of_joined_letters() {
    let bytes = render(&arabic(), Format::Pdf, None).unwrap();
    let pdf = lopdf::Document::load_mem(&bytes).unwrap();
    let pages: Vec<u32> = pdf.get_pages().into_keys().collect();
    let text = pdf.extract_text(&pages).unwrap();
    assert!(text.contains("ISO 27001"), "{text}");
    assert!(text.chars().any(|letter| ('\u{600}'..='\u{6FF}').contains(&letter)), "it can be searched: {text}");
}

fn mark(source: QualitySource, hundredths: u16, count: u32, counts: bool) -> Mark {
    Mark { source, score: Score::of_hundredths(hundredths).unwrap(), count, counts }
}

/// Two steps: one that people have rated, though a judge and a program had said something, and one that was only checked.
fn rated() -> Report {
    let check = |holds| Checked { item: Some(0), what: "It names a date".to_owned(), holds };
    let quality = |checks: Vec<Checked>| Some(Quality { score: Score::of_hundredths(550).unwrap(), checks });
    let outcome =
        |step: &str, quality, marks| Outcome { step: step.to_owned(), item: None, output: None, quality, marks };
    let people = [
        mark(QualitySource::People, 850, 2, true),
        mark(QualitySource::Judge, 700, 3, false),
        mark(QualitySource::Checks, 550, 2, false),
    ];
    let steps = vec![part("a", json!({ "text": "one" })), part("b", json!({ "text": "two" }))];
    report(json!({}), steps).with_outcomes(vec![
        outcome("a", quality(vec![check(true), check(false)]), people.to_vec()),
        outcome("b", quality(vec![check(true), check(false)]), vec![mark(QualitySource::Checks, 550, 2, true)]),
    ])
}

#[test]
fn a_document_says_how_good_answers_are_and_who_says_so() {
    let report = rated();
    let written = text(&report, Format::Markdown, Some(Language::English));
    for said in [
        "**Quality:** 7/10 – the average of the marks that count (people: 1, checks: 1)",
        "**Quality:** 8.5/10 (people, median of 2)",
        "**Other marks:** 7/10 (judge, median of 3); 5.5/10 (1/2 checks hold)",
        "**Quality:** 5.5/10 (1/2 checks hold)",
    ] {
        assert!(written.contains(said), "{said}: {written}");
    }
    let arabic = text(&report, Format::Markdown, Some(Language::Arabic));
    for said in [
        "**الجودة:** 7/10 – متوسط الدرجات المعتمدة (الأشخاص: 1، الفحوص: 1)",
        "**الجودة:** 8.5/10 (الأشخاص، وسيط درجات عددها 2)",
        "**درجات أخرى:** 7/10 (المُحكِّم، وسيط درجات عددها 3)",
    ] {
        assert!(arabic.contains(said), "{said}: {arabic}");
    }
    // The same in the other formats.
    let said = "7/10 – the average of the marks that count (people: 1, checks: 1)";
    assert!(text(&report, Format::Html, None).contains(said));
    assert!(body(&report).contains(said));
    let pdf = lopdf::Document::load_mem(&render(&report, Format::Pdf, None).unwrap()).unwrap();
    let pages: Vec<u32> = pdf.get_pages().into_keys().collect();
    assert!(pdf.extract_text(&pages).unwrap().contains("the average of the marks that count"));
    let data: Value = serde_json::from_slice(&render(&report, Format::Json, None).unwrap()).unwrap();
    assert_eq!(data["compiled"]["quality"], 700);
    assert_eq!(data["compiled"]["qualitySources"], json!({ "people": 1, "judge": 0, "checks": 1 }));
    assert_eq!(data["outcomes"][0]["quality"]["score"], 550, "what programs say stays where it was");
    assert_eq!(
        data["outcomes"][0]["marks"][0],
        json!({ "source": "people", "score": 850, "count": 2, "counts": true })
    );
}

#[test]
fn a_report_from_before_there_were_marks_is_read() {
    let mut data = serde_json::to_value(rated()).unwrap();
    for outcome in data["outcomes"].as_array_mut().unwrap() {
        outcome.as_object_mut().unwrap().remove("marks");
    }
    data["compiled"].as_object_mut().unwrap().remove("qualitySources");
    let old: Report = serde_json::from_value(data).unwrap();
    assert_eq!(old.compiled.quality.map(Score::hundredths), Some(700));
    assert!(old.outcomes.iter().all(|outcome| outcome.marks.is_empty() && outcome.quality.is_some()));
}
