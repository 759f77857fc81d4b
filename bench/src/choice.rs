//! How good and how quick the choice of templates is, on the starter catalogue and the questions of `bench/choice`.
//!
//! Measured on the half of the questions by which no weight was tuned.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use commands::catalog::Catalog;
use selection::{Encoder, Library, Meaning, Question, Request, Weights};

use crate::report::{Report, quantile_ms};

/// The questions, by department.
const FILES: [&str; 18] = [
    include_str!("../choice/administration.tsv"),
    include_str!("../choice/architecture.tsv"),
    include_str!("../choice/compliance.tsv"),
    include_str!("../choice/data.tsv"),
    include_str!("../choice/devops.tsv"),
    include_str!("../choice/documentation.tsv"),
    include_str!("../choice/engineering.tsv"),
    include_str!("../choice/finance.tsv"),
    include_str!("../choice/hr.tsv"),
    include_str!("../choice/legal.tsv"),
    include_str!("../choice/marketing.tsv"),
    include_str!("../choice/operations.tsv"),
    include_str!("../choice/product.tsv"),
    include_str!("../choice/recruitment.tsv"),
    include_str!("../choice/research.tsv"),
    include_str!("../choice/security.tsv"),
    include_str!("../choice/strategy.tsv"),
    include_str!("../choice/ux.tsv"),
];

fn questions() -> anyhow::Result<Vec<Question>> {
    let mut questions = Vec::new();
    for file in FILES {
        questions.extend(Question::read(file)?);
    }
    Ok(questions)
}

/// The model of meaning in a folder, when there is one.
fn model(folder: &Path) -> anyhow::Result<Option<Encoder>> {
    if !folder.join("weights.npz").exists() {
        return Ok(None);
    }
    let weights = BufReader::new(File::open(folder.join("weights.npz"))?);
    Ok(Some(Encoder::read(weights, &std::fs::read(folder.join("sp.model"))?)?))
}

/// `catalogue.choice`: with the model where it is at hand, and by words alone.
pub(crate) fn measure(folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let catalog = Catalog::starter().context("the starter catalogue is damaged")?;
    let similar = catalog.similarity(3);
    for (name, pairs) in [("catalogue.similar.wording", &similar.wording), ("catalogue.similar.words", &similar.words)]
    {
        for pair in pairs {
            eprintln!("{name}: {} and {}, {:.2}", pair.one, pair.other, pair.share);
        }
        report.add(name, pairs.first().map_or(0.0, |pair| pair.share), "of 1", None);
    }
    let questions: Vec<Question> = questions()?.into_iter().filter(|question| !question.is_for_tuning()).collect();
    let model = model(folder)?;
    let library = Library::new(&catalog.templates, &catalog.ways_of_asking(), Weights::default());
    one("catalogue.choice.words", &library, None, &questions, report)?;
    if let Some(model) = &model {
        let library = library.with_meaning(&catalog.templates, model)?;
        return one("catalogue.choice", &library, Some(model), &questions, report);
    }
    // Without the model these are what there is; the names must not be missing.
    one("catalogue.choice", &library, None, &questions, report)
}

fn one(
    name: &str,
    library: &Library,
    model: Option<&dyn Meaning>,
    questions: &[Question],
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut first, mut three) = (0_u32, 0_u32);
    let mut times = Vec::with_capacity(questions.len());
    for question in questions {
        let begin = Instant::now();
        let found = library.find(&Request::new(&question.request), model, 3)?;
        times.push(begin.elapsed());
        match question.place(&found) {
            Some(1) => {
                first += 1;
                three += 1;
            }
            Some(_) => three += 1,
            None => {}
        }
    }
    let of = f64::from(u32::try_from(questions.len())?.max(1));
    let unit = if model.is_some() { "share" } else { "share (words only)" };
    report.add(&format!("{name}.top1"), f64::from(first) / of, unit, None);
    report.add(&format!("{name}.top3"), f64::from(three) / of, unit, None);
    report.add(&format!("{name}.ms"), quantile_ms(&mut times, 0.5), "ms", None);
    report.add(&format!("{name}.ms.p99"), quantile_ms(&mut times, 0.99), "ms", None);
    Ok(())
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_templates_that_exist() {
        let catalog = Catalog::starter().expect("the catalogue");
        let questions = questions().expect("questions");
        assert!(questions.len() >= 300, "{}", questions.len());
        let arabic = questions.iter().filter(|question| question.is_arabic()).count();
        assert!(arabic * 100 >= questions.len() * 45, "{arabic} of {}", questions.len());
        for question in &questions {
            for key in &question.accepted {
                assert!(catalog.templates.iter().any(|body| body.key == *key), "{key}: {}", question.request);
            }
        }
    }
}
