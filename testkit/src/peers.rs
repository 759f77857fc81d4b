//! Independent implementations of the platforms' wire formats, which tests install and start by themselves: aimock
//! (npm) and LiteLLM's proxy (PyPI); and other packages that tests want. They are kept in `peers` of the target
//! directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const AIMOCK: &str = "1.43.0";
const LITELLM: &str = "1.106.2";
const MOTO: &str = "5.2.5";
/// The oldest Node.js that aimock runs on, and the one that is fetched where there is none.
const NODE_MIN: u32 = 20;
const NODE: &str = "22";

/// A running peer; it stops when dropped, and when this process ends in any way.
#[derive(Debug)]
pub struct Peer {
    /// Where it listens, such as `http://127.0.0.1:4010`.
    pub url: String,
    child: Child,
    _files: TempDir,
}

impl Peer {
    /// Starts aimock with these fixtures, in its own format.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    pub async fn aimock(fixtures: &Value) -> Self {
        let home = tokio::task::spawn_blocking(install_aimock).await.expect("the installation does not panic");
        let files = tempfile::tempdir().expect("a directory for fixtures");
        let path = files.path().join("fixtures.json");
        std::fs::write(&path, fixtures.to_string()).expect("the fixtures can be written");
        let port = free_port().await;
        let mut command = attended(&[
            node(&home).as_path(),
            home.join("node_modules/@copilotkit/aimock/dist/cli.js").as_path(),
            Path::new("--port"),
            Path::new(&port.to_string()),
            Path::new("--validate-on-load"),
            // What no fixture is for is an error and not some answer.
            Path::new("--strict"),
            Path::new("--chunk-size"),
            Path::new("4"),
            Path::new("--fixtures"),
            path.as_path(),
        ]);
        command.env_remove("AIMOCK_API_KEYS");
        Self::started(command, port, files, Duration::from_secs(30)).await
    }

    /// Starts LiteLLM's proxy in front of another peer; it offers the model `proxied` to whoever has the key.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    pub async fn litellm(upstream: &str, key: &str) -> Self {
        let home = tokio::task::spawn_blocking(install_litellm).await.expect("the installation does not panic");
        let files = tempfile::tempdir().expect("a directory for the configuration");
        let path = files.path().join("config.yaml");
        let config = format!(
            "model_list:\n  - model_name: proxied\n    litellm_params:\n      model: openai/gpt-4o-mini\n      \
             api_base: {upstream}/v1\n      api_key: sk-upstream\n\
             general_settings:\n  master_key: {key}\nlitellm_settings:\n  num_retries: 0\n  drop_params: true\nrouter_settings:\n  num_retries: 0\n  \
             disable_cooldowns: true\n"
        );
        std::fs::write(&path, config).expect("the configuration can be written");
        let port = free_port().await;
        let mut command = attended(&[
            home.join("bin/litellm").as_path(),
            Path::new("--config"),
            path.as_path(),
            Path::new("--host"),
            Path::new("127.0.0.1"),
            Path::new("--port"),
            Path::new(&port.to_string()),
        ]);
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env_remove("DATABASE_URL");
        Self::started(command, port, files, Duration::from_secs(180)).await
    }

    /// Starts moto, which stands for S3 with object lock.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    pub async fn moto() -> Self {
        let install = || python_with(&format!("moto-{MOTO}"), &[&format!("moto[s3,server]=={MOTO}")]);
        let python = tokio::task::spawn_blocking(install).await.expect("the installation does not panic");
        let files = tempfile::tempdir().expect("a directory for the log");
        let port = free_port().await;
        let port_text = port.to_string();
        let command = attended(&[
            python.as_path(),
            Path::new("-m"),
            Path::new("moto.server"),
            Path::new("-H"),
            Path::new("127.0.0.1"),
            Path::new("-p"),
            Path::new(&port_text),
        ]);
        Self::started(command, port, files, Duration::from_secs(60)).await
    }

    async fn started(mut command: Command, port: u16, files: TempDir, patience: Duration) -> Self {
        let log = files.path().join("log");
        let sink = File::create(&log).expect("a log file");
        command.stdout(sink.try_clone().expect("a second handle")).stderr(sink).stdin(Stdio::piped());
        let child = command.spawn().expect("a shell");
        let mut peer = Self { url: format!("http://127.0.0.1:{port}"), child, _files: files };
        let begun = Instant::now();
        while !answers(port).await {
            let ended = peer.child.try_wait().expect("the peer can be looked at").is_some();
            if ended || begun.elapsed() > patience {
                panic!("the peer did not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The shell ends the peer when nobody holds its input any more.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A command that ends with this process, however that ends: the shell waits for the end of its input.
fn attended(words: &[&Path]) -> Command {
    let script = r#"exec 3<&0; "$@" </dev/null 3<&- & peer=$!; (cat <&3 >/dev/null; kill $peer) & wait $peer"#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("sh").args(words);
    command
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Whether somebody answers HTTP there.
async fn answers(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let asked = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut head = [0; 12];
    socket.write_all(asked).await.is_ok() && socket.read_exact(&mut head).await.is_ok() && head.starts_with(b"HTTP/1.1")
}

/// `peers` of the target directory that a program was built in: `TARGET/PROFILE/` holds programs, `deps` in it tests.
///
/// By its place alone: Cargo marks a target directory with a `CACHEDIR.TAG` only where it made the directory itself.
fn peers_of(program: &Path) -> PathBuf {
    let mut places = program.ancestors().skip(1).skip_while(|dir| dir.ends_with("deps"));
    places.nth(1).expect("Cargo builds programs two directories down").join("peers")
}

/// Runs an installation once, however many tests ask for it at once, and never leaves half of one.
pub(crate) fn installed(name: &str, install: impl Fn(&Path)) -> PathBuf {
    let peers = peers_of(&std::env::current_exe().expect("a running program has a path"));
    std::fs::create_dir_all(&peers).expect("a directory for peers");
    let lock = File::create(peers.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock can be waited for");
    let home = peers.join(name);
    let done = home.join("installed");
    if !done.is_file() {
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).expect("a directory for the peer");
        install(&home);
        File::create(done).expect("the installation can be marked");
    }
    home
}

/// Installs packages from PyPI into an environment of their own, once, and answers its `python`.
///
/// # Panics
/// When they cannot be installed.
#[must_use]
pub fn python_with(name: &str, packages: &[&str]) -> PathBuf {
    let home = installed(name, |home| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(home);
        run(venv, "python3 with venv");
        let mut pip = Command::new(home.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages);
        run(pip, "pip");
    });
    home.join("bin/python")
}

/// Builds a program that is no part of the workspace, once for all tests that ask for it, and answers the folder that it lies in.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn cargo_built(name: &str, manifest: &Path) -> PathBuf {
    let peers = peers_of(&std::env::current_exe().expect("a running program has a path"));
    let home = peers.join(name);
    std::fs::create_dir_all(&home).expect("a directory for the peer");
    // Cargo itself lets one build at a time into a folder, and finds out whether anything has to be done.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(&home);
    run(cargo, "cargo build");
    home.join("debug")
}

/// Installs packages from npm into a folder of their own, once, and answers Node.js and that folder.
///
/// # Panics
/// When they cannot be installed.
#[must_use]
pub fn node_with(name: &str, packages: &[&str]) -> (PathBuf, PathBuf) {
    let home = installed(name, |home| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(home).args(packages);
        if node_version().is_none_or(|version| version < NODE_MIN) {
            npm.arg(format!("node@{NODE}"));
        }
        run(npm, "npm (it comes with Node.js; `./dev test` installs it)");
    });
    (node(&home), home)
}

fn install_aimock() -> PathBuf {
    installed(&format!("aimock-{AIMOCK}"), |home| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(home);
        npm.arg(format!("@copilotkit/aimock@{AIMOCK}"));
        if node_version().is_none_or(|version| version < NODE_MIN) {
            npm.arg(format!("node@{NODE}"));
        }
        run(npm, "npm (it comes with Node.js; `./dev test` installs it)");
    })
}

fn install_litellm() -> PathBuf {
    installed(&format!("litellm-{LITELLM}"), |home| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(home);
        run(venv, "python3 with venv");
        let mut pip = Command::new(home.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).arg(format!("litellm[proxy]=={LITELLM}"));
        run(pip, "pip");
    })
}

/// The Node.js to use: the one that was fetched, or the system's.
fn node(home: &Path) -> PathBuf {
    let fetched = home.join("node_modules/node/bin/node");
    if fetched.is_file() { fetched } else { PathBuf::from("node") }
}

fn node_version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

pub(crate) fn run(mut command: Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{what} is needed for this test: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {said}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_beside_what_was_built_whoever_made_the_directory() {
        for program in ["/tree/target/debug/deps/main-1f", "/tree/target/debug/main", "/tree/target/release/main"] {
            assert_eq!(peers_of(Path::new(program)), Path::new("/tree/target/peers"), "{program}");
        }
    }
}
