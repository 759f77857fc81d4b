//! A new migration has to reach the test databases without a change to this crate's sources; and the protocol double
//! of KurrentDB is made from the protocol's own definitions, without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=protos");
    let files = protox::compile(["streams.proto", "serverfeatures.proto", "gossip.proto"], ["protos"])?;
    tonic_build::configure().build_client(false).bytes(["."]).include_file("protocol.rs").compile_fds(files)?;
    Ok(())
}
