//! Finds better weights on the half of the questions that is for tuning. By hand:
//! `HISHAMOS_MEANING=DIR cargo test -p hishamos-selection --test main tuning -- --ignored --nocapture`

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use commands::catalog::Catalog;
use selection::{Encoder, Kept, Library, Meaning, MeaningError, Question, Request, Vector, Weights};

use crate::{encoder, questions};

/// Remembers what it has computed.
struct Remembering(Encoder, Mutex<HashMap<String, Vector>>);

impl Meaning for Remembering {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vector>, MeaningError> {
        let one = |text: &&str| {
            if let Some(vector) = self.1.lock().expect("the lock").get(*text) {
                return Ok(vector.clone());
            }
            let vector = self.0.vectors(&[text])?.remove(0);
            self.1.lock().expect("the lock").insert((*text).to_owned(), vector.clone());
            Ok(vector)
        };
        texts.iter().map(one).collect()
    }
}

/// The mean reciprocal rank, and the shares of first and of first three places.
fn measure(catalog: &Catalog, weights: &Weights, model: Option<&dyn Meaning>, questions: &[Question]) -> [f64; 3] {
    let library = Library::new(&catalog.templates, &catalog.ways_of_asking(), weights.clone());
    let library = match model {
        Some(model) => library.with_meaning(&catalog.templates, model).expect("vectors"),
        None => library,
    };
    let (mut reciprocal, mut first, mut three) = (0.0, 0.0, 0.0);
    for question in questions {
        let found = library.find(&Request::new(&question.request), model, 20).expect("found");
        if let Some(place) = question.place(&found) {
            reciprocal += 1.0 / place as f64;
            first += f64::from(u8::from(place == 1));
            three += f64::from(u8::from(place <= 3));
        }
    }
    [reciprocal, first, three].map(|sum| sum / questions.len() as f64)
}

fn show(name: &str, [reciprocal, first, three]: [f64; 3]) {
    println!("{name:<28} mrr {reciprocal:.4}  top1 {first:.3}  top3 {three:.3}");
}

#[test]
#[ignore = "looks for better weights, which takes minutes"]
fn tuning() {
    let catalog = Catalog::starter().expect("the catalogue");
    let known: Vec<_> = catalog.templates.iter().map(|template| &template.key).collect();
    let questions: Vec<Question> = questions()
        .into_iter()
        .filter(|question| question.is_for_tuning() && question.accepted.iter().any(|key| known.contains(&key)))
        .collect();
    println!("{} questions", questions.len());
    let model = Remembering(encoder().expect("HISHAMOS_MEANING"), Mutex::default());
    let mut weights = Weights::default();
    show("words", measure(&catalog, &weights, None, &questions));
    let mut best = measure(&catalog, &weights, Some(&model), &questions);
    show("words and meaning", best);
    type Place = fn(&mut Weights) -> &mut f32;
    let places: Vec<(&str, Place)> = vec![
        ("meaning", |w| &mut w.meaning),
        ("title", |w| &mut w.fields[0]),
        ("tags", |w| &mut w.fields[1]),
        ("description", |w| &mut w.fields[2]),
        ("example", |w| &mut w.fields[3]),
        ("parameters", |w| &mut w.fields[4]),
        ("result", |w| &mut w.fields[5]),
        ("department", |w| &mut w.fields[6]),
        ("instructions", |w| &mut w.fields[7]),
        ("asks", |w| &mut w.fields[8]),
        ("unasked", |w| &mut w.unasked),
        ("pairs", |w| &mut w.pairs),
        ("concepts", |w| &mut w.concepts),
        ("grams", |w| &mut w.grams),
        ("title's meaning", |w| &mut w.texts[0]),
        ("whole's meaning", |w| &mut w.texts[1]),
        ("example's meaning", |w| &mut w.texts[2]),
        ("asks' meaning", |w| &mut w.texts[3]),
    ];
    for round in 0..1 {
        for (name, place) in &places {
            let now = *place(&mut weights);
            for factor in [0.25, 0.5, 0.75, 1.4, 2.0] {
                let mut other = weights.clone();
                *place(&mut other) = if *name == "meaning" { (now * factor).min(0.95) } else { now * factor };
                let measured = measure(&catalog, &other, Some(&model), &questions);
                // Chance moves one question; a better weight moves the mean.
                if measured[0] > best[0] + 0.001 {
                    best = measured;
                    weights = other;
                    show(&format!("{round} {name} {}", *place(&mut weights)), measured);
                }
            }
        }
    }
    println!("{weights:?}");
    show("words", measure(&catalog, &weights, None, &questions));
}

#[test]
#[ignore = "prints what is missed among the questions for tuning"]
fn misses() {
    let catalog = Catalog::starter().expect("the catalogue");
    let model = encoder();
    let model = model.as_ref().map(|model| model as &dyn Meaning);
    let library = Library::new(&catalog.templates, &catalog.ways_of_asking(), Weights::default());
    let library = match model {
        Some(model) => library.with_meaning(&catalog.templates, model).expect("vectors"),
        None => library,
    };
    for question in questions().iter().filter(|question| question.is_for_tuning()) {
        let found = library.find(&Request::new(&question.request), model, 5).expect("found");
        let place = question.place(&found);
        if place != Some(1) {
            let keys: Vec<&str> = found.iter().map(|found| found.key.as_str()).collect();
            println!("{place:?} {} <- {}\n    {keys:?}", question.accepted[0], question.request);
        }
    }
}

#[test]
#[ignore = "measures how long it takes to make the templates ready, with vectors kept and without"]
fn ready() {
    let catalog = Catalog::starter().expect("the catalogue");
    let asks = catalog.ways_of_asking();
    let mut kept = Vec::new();
    for what in ["nothing kept", "all kept"] {
        let begin = Instant::now();
        let model = Kept::new(encoder().expect("HISHAMOS_MEANING"), kept.as_slice()).expect("a model");
        let read = begin.elapsed();
        let library = Library::new(&catalog.templates, &asks, Weights::default());
        let words = begin.elapsed() - read;
        let library = library.with_meaning(&catalog.templates, &model).expect("vectors");
        println!("{what}: model {read:?}, words {words:?}, all {:?}", begin.elapsed());
        let mut times: Vec<Duration> = questions()
            .iter()
            .map(|question| {
                let begin = Instant::now();
                library.find(&Request::new(&question.request), Some(model.model()), 3).expect("found");
                begin.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("a choice: median {:?}, 99th percentile {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
        kept.clear();
        model.write(&mut kept).expect("written");
    }
    println!("{} bytes", kept.len());
}

#[test]
#[ignore = "measures the half of the questions that is not for tuning"]
fn held_out() {
    let catalog = Catalog::starter().expect("the catalogue");
    let model = Remembering(encoder().expect("HISHAMOS_MEANING"), Mutex::default());
    let questions: Vec<Question> = questions().into_iter().filter(|question| !question.is_for_tuning()).collect();
    let (arabic, english): (Vec<_>, Vec<_>) = questions.iter().cloned().partition(Question::is_arabic);
    let mut bare = catalog.clone();
    bare.asks.clear();
    for (name, questions) in [("all", &questions), ("English", &english), ("Arabic", &arabic)] {
        println!("{name}: {} questions", questions.len());
        show("words", measure(&catalog, &Weights::default(), None, questions));
        show("words and meaning", measure(&catalog, &Weights::default(), Some(&model), questions));
        show("  without ways of asking", measure(&bare, &Weights::default(), Some(&model), questions));
    }
}
