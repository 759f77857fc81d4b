//! The model of meaning of this installation, and the vectors that are kept beside it.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::template::TemplateBody;
use selection::{Asks, Encoder, Kept, Library, Weights};

/// The file beside the model that keeps vectors from one time to the next. It may be deleted.
const VECTORS: &str = "vectors";

/// Where the model lies in the data directory.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("models").join("meaning")
}

/// The model of meaning in a folder, when there is one, with the vectors that were kept of it.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Kept<Encoder>>> {
    let weights = match File::open(folder.join("weights.npz")) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::new(error).context("the model of meaning cannot be opened")),
    };
    let damaged = || format!("the model of meaning in {} is damaged; delete it to do without", folder.display());
    let pieces = std::fs::read(folder.join("sp.model")).with_context(damaged)?;
    let model = Encoder::read(weights, &pieces).with_context(damaged)?;
    let kept = match File::open(folder.join(VECTORS)) {
        Ok(file) => Kept::new(model, BufReader::new(file)),
        // Then they are computed again.
        Err(_) => Kept::new(model, std::io::empty()),
    };
    Ok(Some(kept.with_context(damaged)?))
}

/// The library of these templates, compared by meaning too where there is a model; vectors that had to be computed are
/// kept for the next time.
///
/// # Errors
/// When the texts cannot be compared.
pub(crate) fn library(
    templates: &[TemplateBody],
    asks: &Asks,
    model: Option<&Kept<Encoder>>,
    folder: &Path,
) -> anyhow::Result<Library> {
    let library = Library::new(templates, asks, Weights::default());
    let Some(kept) = model else { return Ok(library) };
    let library = library.with_meaning(templates, kept).context("the templates cannot be compared")?;
    if let Err(error) = keep(folder, kept) {
        tracing::warn!(%error, folder = %folder.display(), "the vectors of the templates cannot be kept");
    }
    Ok(library)
}

/// Keeps the vectors for the next time, when there are new ones. Another process may do the same at the same time, so
/// the file is written under a name of its own and then put in place.
fn keep(folder: &Path, kept: &Kept<Encoder>) -> std::io::Result<()> {
    if !kept.has_news() {
        return Ok(());
    }
    let unfinished = folder.join(format!("{VECTORS}.{}", std::process::id()));
    let written = File::create(&unfinished)
        .and_then(|file| kept.write(BufWriter::new(file)))
        .and_then(|()| std::fs::rename(&unfinished, folder.join(VECTORS)));
    if written.is_err() {
        // What is left of it would only be in the way; that it cannot be written is what is told.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}
