//! The starter catalogue, carried by the program, so that it needs no files beside it. The build script lists the
//! files; a test compares them with the folder.

/// Every file of the folder `catalog`: its name, such as `templates/legal/review-nda.yaml`, and its text.
pub(super) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/starter_files.rs"));
