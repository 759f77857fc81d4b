//! What receives webhooks in tests: a real HTTP server that answers as told, and the Standard Webhooks library of other
//! authors (PyPI), which says whether it believes a message.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver as Inbox, Sender};
use std::time::Duration;

use parking_lot::Mutex;

use crate::peers::{installed, run};

const STANDARD_WEBHOOKS: &str = "1.1.0";

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path and what stands behind it.
    pub path: String,
    /// The headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// How many requests came before it.
    pub number: usize,
}

impl Received {
    /// A header.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("there is no header {name} in {:?}", self.headers))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Further headers, each a whole line.
    pub headers: Vec<String>,
    /// After which time.
    pub after: Duration,
}

impl Reply {
    /// At once, with a status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: vec![], after: Duration::ZERO }
    }
}

type Script = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// A server that takes whatever is posted.
pub struct HookReceiver {
    address: SocketAddr,
    inbox: Mutex<Inbox<Received>>,
}

impl HookReceiver {
    /// Starts one on a free port of the loopback interface; it lives as long as the process.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (send, inbox) = std::sync::mpsc::channel();
        let (script, count): (Script, _) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (script, count, send) = (Arc::clone(&script), Arc::clone(&count), send.clone());
                std::thread::spawn(move || serve(socket, &script, &count, &send));
            }
        });
        Self { address, inbox: Mutex::new(inbox) }
    }

    /// One that takes everything.
    #[must_use]
    pub fn patient() -> Self {
        Self::start(|_| Reply::status(204))
    }

    /// Its URL, with a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request that has come, or comes within the time.
    #[must_use]
    pub fn within(&self, time: Duration) -> Option<Received> {
        self.inbox.lock().recv_timeout(time).ok()
    }

    /// The next request.
    ///
    /// # Panics
    /// When none comes within 30 s.
    #[must_use]
    pub fn next(&self) -> Received {
        self.within(Duration::from_secs(30)).expect("a request comes in")
    }
}

/// Answers one request; afterwards the connection is closed.
fn serve(socket: TcpStream, script: &Script, count: &AtomicUsize, send: &Sender<Received>) -> Option<()> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let number = count.fetch_add(1, Ordering::SeqCst);
    let received = Received { path, headers, body: String::from_utf8(body).ok()?, number };
    let reply = script(&received);
    send.send(received).ok()?;
    std::thread::sleep(reply.after);
    let more: String = reply.headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 {} Said\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n", reply.status);
    (&socket).write_all(head.as_bytes()).ok()
}

/// Whether Standard Webhooks' own library for Python believes a message, given the secret as it was shown.
///
/// # Panics
/// When the library cannot be installed or run.
#[must_use]
pub fn others_believe(secret: &str, received: &Received) -> bool {
    const SCRIPT: &str = "import json, sys\n\
        from standardwebhooks import Webhook, WebhookVerificationError\n\
        asked = json.load(sys.stdin)\n\
        try:\n    Webhook(asked['secret']).verify(asked['body'], asked['headers'])\n\
        except WebhookVerificationError as error:\n    print(error); sys.exit(7)\n";
    let python = standard_webhooks().join("bin/python");
    let asked = serde_json::json!({ "secret": secret, "headers": received.headers, "body": received.body });
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("its input").write_all(asked.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    match output.status.code() {
        Some(0) => true,
        Some(7) => false,
        _ => panic!("the library failed: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn standard_webhooks() -> PathBuf {
    installed(&format!("standardwebhooks-{STANDARD_WEBHOOKS}"), |home| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(home);
        run(venv, "python3 with venv");
        let mut pip = Command::new(home.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]);
        pip.arg(format!("standardwebhooks=={STANDARD_WEBHOOKS}"));
        run(pip, "pip");
    })
}

/// The headers that Standard Webhooks' own library for Python gives to a message of this moment.
///
/// # Panics
/// When the library cannot be installed or run.
#[must_use]
pub fn signed_by_others(secret: &str, id: &str, body: &str) -> BTreeMap<String, String> {
    const SCRIPT: &str = "import json, sys\n\
        from datetime import datetime, timezone\n\
        from standardwebhooks import Webhook\n\
        asked = json.load(sys.stdin)\n\
        now = datetime.now(tz=timezone.utc)\n\
        signature = Webhook(asked['secret']).sign(asked['id'], now, asked['body'])\n\
        json.dump({'webhook-id': asked['id'], 'webhook-timestamp': str(int(now.timestamp())), \
        'webhook-signature': signature}, sys.stdout)\n";
    let asked = serde_json::json!({ "secret": secret, "id": id, "body": body });
    let mut child = Command::new(standard_webhooks().join("bin/python"))
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("its input").write_all(asked.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the library signs");
    serde_json::from_slice(&output.stdout).expect("the headers are JSON")
}
