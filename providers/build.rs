//! Lists the folder of platforms, so that a new one is its file there and nothing else: writes a macro that hands the names of its
//! modules to another, which `src/platforms/mod.rs` has. In a macro, because modules that are declared where it is used are looked
//! for there.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The example of the guide for new platforms: a kind like the others when the tests of this crate are built, unless somebody has put
/// it into the folder.
const EXAMPLE: &str = "parrot";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("src/platforms");
    // Cargo looks into a named directory, however deep, and builds again when anything has come, gone or changed.
    println!("cargo::rerun-if-changed={}", folder.display());
    let modules = modules(folder)?;
    let mut list = String::from("macro_rules! files {\n    ($list:ident) => { $list! {\n");
    for module in &modules {
        writeln!(list, "        {module},")?;
    }
    if !modules.contains(EXAMPLE) {
        writeln!(list, "        [cfg(test), path = \"../../../docs/extend/{EXAMPLE}.rs\"] {EXAMPLE},")?;
    }
    list.push_str("    } };\n}\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("platforms.rs"), list)?;
    Ok(())
}

/// The modules in a folder: its files, and its folders with a `mod.rs`.
fn modules(folder: &Path) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_file = path.extension() == Some(OsStr::new("rs")) && path.file_name() != Some(OsStr::new("mod.rs"));
        if !is_file && !path.join("mod.rs").is_file() {
            continue;
        }
        let name = path.file_stem().and_then(OsStr::to_str).ok_or("the name of a platform's file is not UTF-8")?;
        let mut letters = name.chars();
        let is_name = letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        if !is_name {
            return Err(format!(
                "{}: a platform's file is named like a module, with small letters, digits and underscores",
                path.display()
            )
            .into());
        }
        modules.insert(name.to_owned());
    }
    Ok(modules)
}
