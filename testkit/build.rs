//! A new migration has to reach the test databases without a change to this crate's sources.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
