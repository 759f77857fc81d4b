//! The platform that is called: OpenAI's Chat Completions over HTTP/1.1, on a thread of its own, which writes down when each
//! request was there and when its answer left.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many requests can be told apart.
const MOST: usize = 1 << 18;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"test-model","choices":[{"index":0,"message":{"role":"assistant","content":"Hello from the platform of the bench."},"finish_reason":"stop"}],"usage":{"prompt_tokens":21,"completion_tokens":9,"total_tokens":30}}"#;

/// The running platform; it ends when dropped.
pub(super) struct Upstream {
    address: SocketAddr,
    book: Arc<Book>,
    next: AtomicUsize,
    stop: CancellationToken,
}

/// For how long each request was here, in nanoseconds; 0 for one that was not.
struct Book(Box<[AtomicU64]>);

impl Upstream {
    /// Starts it; an answer takes so long.
    pub(super) fn start(answer: Duration) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let book = Arc::new(Book((0..MOST).map(|_| AtomicU64::new(0)).collect()));
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (kept, stopped) = (Arc::clone(&book), stop.clone());
        std::thread::Builder::new().name("platform".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    failed = serve(listener, kept, answer) => {
                        if let Err(error) = failed {
                            eprintln!("the platform of the bench failed: {error:#}");
                        }
                    }
                }
            });
        })?;
        Ok(Self { address, book, next: AtomicUsize::new(0), stop })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A number for a request, which has to stand in its text between two `#`.
    pub(super) fn next(&self) -> usize {
        self.next_many(1)
    }

    /// The first of so many numbers.
    pub(super) fn next_many(&self, count: usize) -> usize {
        self.next.fetch_add(count, Ordering::Relaxed)
    }

    /// For how long it had a request.
    pub(super) fn had(&self, number: usize) -> Option<Duration> {
        let nanos = self.book.0.get(number)?.load(Ordering::Acquire);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: std::net::TcpListener, book: Arc<Book>, answer: Duration) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let book = Arc::clone(&book);
        connections.spawn(async move {
            let service = service_fn(|request| reply(request, &book, answer));
            // A client that hangs up is no failure here.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn reply(request: Request<Incoming>, book: &Book, answer: Duration) -> anyhow::Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let arrived = Instant::now();
    let number = number(&body).context("a request has no number")?;
    tokio::time::sleep(answer).await;
    let response = Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(ANSWER.as_bytes())))?;
    if let Some(entry) = book.0.get(number) {
        entry.store(u64::try_from(arrived.elapsed().as_nanos())?.max(1), Ordering::Release);
    }
    Ok(response)
}

/// The number between the first two `#`.
fn number(body: &[u8]) -> Option<usize> {
    let mut parts = body.split(|byte| *byte == b'#');
    parts.next()?;
    std::str::from_utf8(parts.next()?).ok()?.parse().ok()
}
