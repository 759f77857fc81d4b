//! Names the rules by a hash of their sources, so that a state which other rules have folded is known as such.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src");
    let mut sources = BTreeMap::new();
    collect(Path::new("src"), &mut sources)?;
    // The versions of what the states are made of and written with.
    for file in [Path::new("../Cargo.lock"), Path::new("Cargo.toml")] {
        if let Ok(text) = fs::read(file) {
            println!("cargo::rerun-if-changed={}", file.display());
            sources.insert(file.to_owned(), text);
        }
    }
    let mut hasher = DefaultHasher::new();
    sources.hash(&mut hasher);
    println!("cargo::rustc-env=RULES={:016x}", hasher.finish());
    Ok(())
}

fn collect(folder: &Path, sources: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else {
            sources.insert(path.clone(), fs::read(&path)?);
        }
    }
    Ok(())
}
