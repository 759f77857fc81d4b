//! The program as a child process on a data directory of its own.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use providers::kind::KINDS;
use serde_json::Value;
use tempfile::TempDir;

/// A data directory, and a working directory with something to read.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("hishamos-e2e-")
            // PostgreSQL runs as an unprivileged user when the tests run as root, and has to get in.
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        std::fs::write(dir.path().join("README.md"), "The office moves on 3 May. Pack by noon.\n").unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with these arguments, in this home and without settings from outside.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hishamos"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let of_service = |service: &str| name.strip_prefix(service).is_some_and(|rest| rest.starts_with('_'));
            if name.starts_with("HISHAMOS_")
                || KINDS.iter().filter_map(|kind| kind.service).any(of_service)
                || name == "DATABASE_URL"
                || name == "REDIS_URL"
            {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        Answer(self.command(arguments).output().unwrap())
    }

    /// Starts the program as a server and waits until it answers.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_by(self.command(&[&["serve", "--port", "0", "--json"], arguments].concat()))
    }

    pub(crate) fn serve_by(&self, mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        let mut line = String::new();
        while line != "}\n" {
            line.clear();
            if out.read_line(&mut line).unwrap() == 0 {
                let mut why = String::new();
                child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("the server did not start: {text}{why}");
            }
            text.push_str(&line);
        }
        let said: Value = serde_json::from_str(&text).unwrap();
        assert!(said["url"].is_string(), "the server did not start: {said}");
        // A full pipe would stop the program.
        let log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(log).read_to_string(&mut text);
            text
        });
        Server { child, url: said["url"].as_str().unwrap().to_owned(), log: Some(log) }
    }

    /// The process id of PostgreSQL's first process.
    pub(crate) fn postgres(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.data().join("postgres/pgdata/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it over GraphQL, as a person does; answers the data.
    pub(crate) fn ask(&self, query: &str, variables: Value) -> Value {
        install_crypto();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let body = serde_json::json!({ "query": query, "variables": variables });
            let answer = client.post(format!("{}/graphql", self.url)).json(&body).send().await.unwrap();
            let mut answer: Value = answer.json().await.unwrap();
            assert!(answer.get("errors").is_none(), "{answer:#}");
            answer["data"].take()
        })
    }

    /// Ends it with a signal and answers its log.
    pub(crate) fn end(mut self, signal: &str) -> (std::process::ExitStatus, String) {
        send(signal, self.child.id());
        let status = wait(&mut self.child);
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already in most cases.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn send(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

pub(crate) fn wait(child: &mut Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the program does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reqwest wants to know its crypto, also where only plain HTTP is spoken. Only the first call of the process counts.
pub(crate) fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Waits until the read model has taken in the end of the oldest run that `hishamos runs --json` lists.
pub(crate) fn until_shown_ended(mut list: impl FnMut() -> Value) {
    until("the read model", || {
        let runs = list();
        let status = runs["nodes"].as_array()?.last()?["status"].as_str()?;
        ["COMPLETED", "FAILED", "CANCELLED"].contains(&status).then_some(())
    });
}

/// Whether any file below a directory holds these bytes.
pub(crate) fn anywhere(directory: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            anywhere(&entry.path(), wanted)
        } else {
            kind.is_file() && std::fs::read(entry.path()).unwrap().windows(wanted.len()).any(|window| window == wanted)
        }
    })
}

/// Asks again until the answer is there.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the program said when it had ended.
pub(crate) struct Answer(pub(crate) Output);

impl Answer {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Everything, for the message of a failed assertion.
    pub(crate) fn all(&self) -> String {
        format!("exit code {}\n--- out\n{}\n--- err\n{}", self.code(), self.out(), self.err())
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}", self.all());
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out()).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }
}
