//! The choice of templates in the starter catalogue.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests fail by panicking, and those that are run by hand print"
)]

mod tuning;

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use commands::catalog::Catalog;
use selection::{Encoder, Library, Question, Request, Weights};

/// What was reached by words alone when this was written, less a little (docs/benchmarks.md).
const FIRST: f64 = 0.71;
const THREE: f64 = 0.83;

/// The questions of `bench/choice`.
fn questions() -> Vec<Question> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/choice");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tsv"))
        .collect();
    files.sort();
    let read = |path| Question::read(&fs::read_to_string(path).expect("a file")).expect("questions");
    files.iter().flat_map(read).collect()
}

/// The model of meaning in the folder that `HISHAMOS_MEANING` names.
fn encoder() -> Option<Encoder> {
    let folder = PathBuf::from(std::env::var_os("HISHAMOS_MEANING")?);
    let weights = BufReader::new(fs::File::open(folder.join("weights.npz")).expect("the weights"));
    Some(Encoder::read(weights, &fs::read(folder.join("sp.model")).expect("the pieces")).expect("the model"))
}

#[test]
fn by_words_alone_most_requests_find_their_template_among_the_first_three() {
    let catalog = Catalog::starter().expect("the catalogue");
    let questions: Vec<Question> = questions().into_iter().filter(|question| !question.is_for_tuning()).collect();
    let library = Library::new(&catalog.templates, &catalog.ways_of_asking(), Weights::default());
    let among = |most: usize| {
        let right = questions.iter().filter(|question| {
            question.place(&library.find(&Request::new(&question.request), None, most).expect("found")).is_some()
        });
        right.count() as f64 / questions.len() as f64
    };
    let (first, three) = (among(1), among(3));
    assert!(first >= FIRST && three >= THREE, "{first} {three}");
}

/// What nobody at work would have a template for.
const FOREIGN: [&str; 14] = [
    "rhymes for grandmother's ninetieth birthday cake",
    "which opening should I play against the Sicilian defence",
    "a bedtime story about a shy dragon and a lighthouse",
    "how do I get red wine stains out of a wool carpet",
    "name my kitten, she is grey and bites",
    "a limerick about the moon",
    "knitting pattern for mittens with cables",
    "is it going to rain on Saturday",
    "اكتب قصيدة غزل قصيرة عن القمر",
    "كيف أطبخ المقلوبة بالباذنجان",
    "اقترح أسماء لمولودة جميلة",
    "حكاية قبل النوم عن أرنب وسلحفاة",
    "لغز صعب للأطفال مع الحل",
    "ما تفسير حلم رأيت فيه بحرًا هائجًا",
];

#[test]
fn most_requests_fit_a_template_and_foreign_ones_do_not() {
    let catalog = Catalog::starter().expect("the catalogue");
    let library = Library::new(&catalog.templates, &catalog.ways_of_asking(), Weights::default());
    let best = |request: &str| library.find(&Request::new(request), None, 1).expect("found").into_iter().next();
    let questions = questions();
    let fitting = questions.iter().filter(|question| best(&question.request).is_some_and(|found| found.fits()));
    let share = fitting.count() as f64 / questions.len() as f64;
    let foreign: Vec<_> = FOREIGN.iter().filter_map(|request| best(request)).filter(|found| found.fits()).collect();
    if std::env::var_os("HISHAMOS_SHOW_COVERAGE").is_some() {
        let mut all: Vec<f32> =
            questions.iter().filter_map(|question| best(&question.request)).map(|found| found.coverage).collect();
        all.sort_by(f32::total_cmp);
        let at = |percent: usize| all[all.len() * percent / 100];
        println!("1 %: {} 5 %: {} 10 %: {} 50 %: {}", at(1), at(5), at(10), at(50));
        for request in FOREIGN {
            let found = best(request);
            println!("{:?} {request}", found.map(|found| (found.coverage, found.key)));
        }
    }
    assert!(share >= 0.95, "{share}");
    // Of a request of three words, one that stands in some template is a third.
    assert!(foreign.len() <= 3, "{foreign:#?}");
}
