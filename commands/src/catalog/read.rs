//! The files of a directory. Folders may stand in folders; links to folders are not followed, so no directory can be
//! walked for ever, and names that begin with a dot are left out, because editors and deployments hide things there.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::parse::MAX_FILE;
use super::{CatalogError, Fault, Kind};

/// A file that was found; its bytes, or why it could not be read.
pub(super) struct Found {
    pub(super) kind: Kind,
    /// The path as it is shown in errors.
    pub(super) name: String,
    pub(super) bytes: Result<Vec<u8>, CatalogError>,
}

/// Every YAML file in the folders of a catalogue's directory, sorted by name within each; whatever else is there
/// is left alone. Blocks on the file system.
pub(super) fn files(directory: &Path) -> Vec<Result<Found, CatalogError>> {
    let unreadable = |path: &Path, error: &io::Error| {
        CatalogError::unplaced(&path.display().to_string(), Fault::Unreadable(error.to_string()))
    };
    let mut found = Vec::new();
    let mut any = false;
    for kind in Kind::ALL {
        let folder = directory.join(kind.folder());
        if !folder.is_dir() {
            continue;
        }
        any = true;
        let mut paths = Vec::new();
        if let Err((path, error)) = walk(&folder, &mut paths) {
            found.push(Err(unreadable(&path, &error)));
        }
        paths.sort_unstable();
        found.extend(paths.into_iter().map(|path| {
            let bytes = read(&path).map_err(|error| unreadable(&path, &error));
            Ok(Found { kind, name: path.to_string_lossy().into_owned(), bytes })
        }));
    }
    if !any {
        found.push(Err(CatalogError::unplaced(&directory.display().to_string(), Fault::NotACatalogue)));
    }
    found
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(at(&path))?.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") && path.is_file()
        {
            paths.push(path);
        }
    }
    Ok(())
}

/// A file's bytes, at most one more than allowed, so that an immense file is refused without being held.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
