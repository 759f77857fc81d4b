//! Bundles: a journal, or a part of it, as files that can be checked without a database and without trust in who made
//! them: the events in their stored bytes, every statement of the seals, the layouts of the events, and a manifest with
//! the hash of each file.
//!
//! A bundle is a folder, or a tar file of one, with the manifest first. Invariants: what is written is what the store
//! has, damaged or not, because a bundle may be evidence; files are put in their place whole, so an export that broke
//! off goes on after the last of them; memory does not grow with the length of the journal.

mod format;
mod read;
mod write;

use std::path::PathBuf;

pub use format::{File, Manifest};
pub use read::{BundleFault, BundleReport, import, manifest, verify};
pub use write::{Export, export};

/// Why a bundle cannot be made or looked at; it says nothing about whether it is damaged.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file failed.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no bundle.
    #[error("{} is no bundle: it has no manifest.json", .0.display())]
    NotABundle(PathBuf),
    /// There is something already.
    #[error("{0}")]
    Exists(String),
    /// The bundle does not hold what is wanted of it.
    #[error("{0}")]
    Unfit(String),
    /// The journal failed.
    #[error("the journal cannot be read")]
    Journal(#[from] crate::ReadError),
    /// The journal does not take the events.
    #[error("the events cannot be recorded")]
    Import(#[from] crate::ImportError),
    /// A thread broke off.
    #[error("reading the bundle broke off")]
    Broken,
}

fn at(path: &std::path::Path) -> impl Fn(std::io::Error) -> BundleError + '_ {
    move |source| BundleError::File { path: path.to_owned(), source }
}
