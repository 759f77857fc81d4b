//! The platforms: a file for each kind, or a folder.
//!
//! Invariant: whatever is in this folder is a kind, and nothing else is one. The build script lists the folder, and every module in it
//! has a `KIND`; without one it does not compile. So there is no list that could be forgotten, and none that is gathered by a linker,
//! which may leave out what nobody refers to.

use crate::kind::Kind;

macro_rules! list {
    ($($([cfg($when:meta), path = $path:literal])? $file:ident,)*) => {
        $(
            $(#[cfg($when)] #[path = $path])?
            pub mod $file;
        )*

        /// The names of the files and folders.
        pub(crate) const FILES: &[&str] = &[$($(#[cfg($when)])? stringify!($file)),*];

        /// What each of them is, in the order of their names.
        pub(crate) const ALL: [&Kind; FILES.len()] = [$($(#[cfg($when)])? &$file::KIND),*];
    };
}

include!(concat!(env!("OUT_DIR"), "/platforms.rs"));

files!(list);
