//! Kept answers in a real Redis, which two programs share.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Home, until};

/// A Redis of the test's own; it ends with the test.
struct Redis {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// Nothing where it is not installed.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Debian's `redis-tools` has the server under another name, by which it does something else.
        let child = ["redis-server", "redis-check-rdb"].into_iter().find_map(|program| {
            Command::new(program)
                .arg0("redis-server")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .args(["--requirepass", "s3cret-redis"])
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .ok()
        })?;
        until("Redis", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, port, _folder: folder })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(home: &Home, redis: &str) -> String {
    let mut command = home.command(&["run", "welcome", "--input", "file=@README.md", "--watch"]);
    let answer = command.env("REDIS_URL", redis).output().unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    assert!(answer.status.success(), "{all}");
    all
}

#[test]
fn two_programs_share_what_is_kept() {
    let Some(mut redis) = Redis::start() else {
        eprintln!("skipped: there is no redis-server; `./dev test` installs it");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OpenAiServer::start([])).unwrap();
    server.set_default(Behaviour::reply("Everybody packs by noon."));
    let homes = [Home::new(), Home::new()];
    for home in &homes {
        home.write(
            "hishamos.toml",
            format!(
                "[platforms.own]\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\n[cache]\nmode = \"on\"\n",
                server.base_url()
            ),
        );
    }
    let url = format!("redis://:s3cret-redis@127.0.0.1:{}/0", redis.port);
    let first = run(&homes[0], &url);
    let calls = server.received().len();
    assert!(calls > 0);
    let second = run(&homes[1], &url);
    assert_eq!(server.received().len(), calls, "the other program needed no call: {second}");
    assert!(second.contains("Everybody packs by noon."), "{second}");
    let served = homes[1].run(&["audit", "log", "--type", "task.attempt_started", "--json"]).expect(0).out();
    let first_one: Value = serde_json::from_str(served.lines().next().unwrap()).unwrap();
    assert_eq!(first_one["data"]["kept"]["usage"]["input_tokens"], 7, "{first_one}");

    // Without Redis the work goes on.
    redis.child.kill().unwrap();
    redis.child.wait().unwrap();
    let third = run(&homes[1], &url);
    assert!(server.received().len() > calls && third.contains("Redis does not answer"), "{third}");
    assert!(![first, second, third].iter().any(|said| said.contains("s3cret-redis")));
    let shown = homes[0].command(&["config"]).env("REDIS_URL", &url).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("cache.redis_url") && !shown.contains("s3cret-redis"), "{shown}");
}
