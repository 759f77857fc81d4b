//! Carries every file of the folder `catalog` into the program, so that it needs no files beside it: writes a list of
//! names and texts that `src/catalog/starter.rs` includes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../catalog").canonicalize()?;
    // Cargo looks into a named directory, however deep, and builds again when anything in it has changed.
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for kind in ["agents", "asks", "templates", "workflows", "triggers"] {
        collect(&root.join(kind), &mut files)?;
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root)?.to_str().ok_or("a catalogue file's name is not UTF-8")?;
        let path = file.to_str().ok_or("the path to the catalogue is not UTF-8")?;
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("starter_files.rs"), list)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}
