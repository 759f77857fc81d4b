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
