//! The choice of templates in the starter catalogue, by words alone.

mod tuning;

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use selection::{Encoder, Question};

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
