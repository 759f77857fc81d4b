//! Serves each recording of a folder to the crate `genai` over loopback, and prints what it has read: one JSON object with an entry
//! `FORMAT/NAME` for each recording, and for each stream a second one, `FORMAT/NAME@60%`, of its first 60 %.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{ChatOptions, ChatRequest, ChatStreamEvent, StopReason, ToolCall, Usage};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{Client, ModelIden, ServiceTarget};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The formats, and who reads them.
const FORMATS: [(&str, AdapterKind); 5] = [
    ("anthropic", AdapterKind::Anthropic),
    ("gemini", AdapterKind::Gemini),
    ("openai-chat", AdapterKind::OpenAI),
    ("openai-responses", AdapterKind::OpenAIResp),
    ("openrouter", AdapterKind::OpenRouter),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder of recordings?")?;
    let mut all = Map::new();
    for (format, reader) in FORMATS {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(Path::new(&folder).join(format))? {
            names.push(entry?.file_name().into_string().map_err(|_| "a name that is no text")?);
        }
        names.sort();
        for name in names.iter().filter(|name| !name.ends_with(".expected.json")) {
            let bytes = std::fs::read(Path::new(&folder).join(format).join(name))?;
            let streamed = name.ends_with(".sse");
            all.insert(format!("{format}/{name}"), read(reader, &bytes, streamed).await?);
            if streamed {
                let part = bytes.get(..bytes.len() * 6 / 10).unwrap_or_default();
                all.insert(format!("{format}/{name}@60%"), read(reader, part, true).await?);
            }
        }
    }
    println!("{}", Value::Object(all));
    Ok(())
}

/// What the crate makes of an answer.
async fn read(reader: AdapterKind, answer: &[u8], streamed: bool) -> Result<Value, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let asked = async {
        tokio::select! {
            // Whoever asks is done before the other side, which serves for ever.
            read = ask(reader, port, streamed) => read,
            served = serve(&listener, answer, streamed) => json!({ "error": format!("served: {served:?}") }),
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap_or_else(|_| json!({ "error": "no end" })))
}

async fn serve(listener: &TcpListener, answer: &[u8], streamed: bool) -> std::io::Result<()> {
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    loop {
        let (mut socket, _) = listener.accept().await?;
        let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
        // The end of the request is of no interest beyond that there is one.
        let length = loop {
            let count = socket.read(&mut piece).await?;
            asked.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&asked).to_ascii_lowercase();
            if let Some(head) = text.find("\r\n\r\n") {
                let length = text[..head].split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                break head + 4 + length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            }
            if count == 0 {
                return Ok(());
            }
        };
        while asked.len() < length {
            let count = socket.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            asked.extend_from_slice(&piece[..count]);
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(answer).await?;
        socket.shutdown().await?;
    }
}

async fn ask(reader: AdapterKind, port: u16, streamed: bool) -> Value {
    let target = move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
        Ok(ServiceTarget {
            endpoint: Endpoint::from_owned(format!("http://127.0.0.1:{port}/v1/")),
            auth: AuthData::from_single("no-key"),
            model: ModelIden::new(reader, target.model.model_name),
        })
    };
    let client = Client::builder().with_service_target_resolver(ServiceTargetResolver::from_resolver_fn(target)).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let options = ChatOptions::default()
        .with_capture_usage(true)
        .with_capture_content(true)
        .with_capture_tool_calls(true);
    let request = ChatRequest::from_user("x");
    if streamed { stream(&client, request, &options).await } else { whole(&client, request, &options).await }
}

async fn whole(client: &Client, request: ChatRequest, options: &ChatOptions) -> Value {
    match client.exec_chat("model", request, Some(options)).await {
        Ok(answer) => json!({
            "text": answer.texts().concat(),
            "finish": answer.stop_reason.as_ref().map(finish),
            "tool_calls": calls(&answer.tool_calls()),
            "usage": figures(Some(&answer.usage)),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

async fn stream(client: &Client, request: ChatRequest, options: &ChatOptions) -> Value {
    let mut events = match client.exec_chat_stream("model", request, Some(options)).await {
        Ok(answer) => answer.stream,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let mut text = String::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(ChatStreamEvent::Chunk(chunk)) => text.push_str(&chunk.content),
            Ok(ChatStreamEvent::End(end)) => {
                return json!({
                    "text": text,
                    "finish": end.captured_stop_reason.as_ref().map(finish),
                    "tool_calls": calls(&end.captured_tool_calls().unwrap_or_default()),
                    "usage": figures(end.captured_usage.as_ref()),
                });
            }
            Ok(_) => {}
            Err(error) => return json!({ "text": text, "error": error.to_string() }),
        }
    }
    json!({ "text": text, "error": "it stopped without an end and without an error" })
}

/// Why it ended, in our words.
fn finish(reason: &StopReason) -> &str {
    match reason {
        StopReason::Completed(_) | StopReason::StopSequence(_) => "stop",
        StopReason::MaxTokens(_) => "length",
        StopReason::ToolCall(_) => "tool_calls",
        StopReason::ContentFilter(_) => "content_filter",
        StopReason::Other(other) => other,
    }
}

fn calls(calls: &[&ToolCall]) -> Value {
    calls.iter().map(|call| json!([call.fn_name, call.fn_arguments])).collect()
}

/// The figures that both sides know, in our words; zero and nothing are the same to it.
fn figures(usage: Option<&Usage>) -> Value {
    let Some(usage) = usage else { return Value::Null };
    let of_input = usage.prompt_tokens_details.as_ref();
    let of_output = usage.completion_tokens_details.as_ref();
    let caches = of_input.and_then(|details| details.cache_creation_details.as_ref());
    json!({
        "input": usage.prompt_tokens,
        "cached_input": of_input.and_then(|details| details.cached_tokens),
        "cache_write_5m": caches.and_then(|caches| caches.ephemeral_5m_tokens),
        "cache_write_1h": caches.and_then(|caches| caches.ephemeral_1h_tokens),
        "output": usage.completion_tokens,
        "reasoning": of_output.and_then(|details| details.reasoning_tokens),
    })
}
