//! What is said to each platform, for a request that has everything.

use bytes::Bytes;
use providers::wire::openai_chat::Dialect;
use providers::wire::{anthropic, gemini, openai_chat, openai_responses};
use providers::{FailureKind, Family, Image, Message, Opaque, OutputSchema, Request, Tool, ToolCall, ToolChoice};
use serde_json::{Value, json};

fn schema() -> Value {
    json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] })
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "get_weather".into(), arguments: arguments.into() }
}

/// A conversation with pictures, two calls at once, a tool that failed, and a further question.
fn everything() -> Request {
    let (one, two) = (call("call-1", r#"{"city":"Lyon"}"#), call("call-2", "{}"));
    Request {
        system: Some("Be brief.".into()),
        images: vec![Image::Bytes { media_type: "image/png".into(), data: Bytes::from_static(b"\x89PNG") }],
        turns: vec![
            Message::Assistant { text: "Wait.".into(), tool_calls: vec![one.clone(), two], opaque: None },
            Message::tool_result(&one, r#"{"degrees":21}"#),
            Message::ToolResult {
                call: "call-2".into(),
                name: "get_weather".into(),
                content: "no city".into(),
                failed: true,
            },
            Message::User { text: "And here?".into(), images: vec![Image::Url("https://e.test/a.jpg".into())] },
        ],
        tools: vec![Tool { name: "get_weather".into(), description: "The weather.".into(), parameters: schema() }],
        tool_choice: ToolChoice::Named("get_weather".into()),
        output: Some(OutputSchema { name: "place".into(), schema: schema() }),
        stop: vec!["END".into()],
        max_tokens: Some(100),
        temperature_milli: Some(200),
        top_p_milli: Some(900),
        frequency_penalty_milli: Some(-500),
        ..Request::new("Where is this?")
    }
}

#[test]
fn openai_chat() {
    let expected = json!({
        "model": "m",
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [
                { "type": "text", "text": "Where is this?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw==" } }
            ] },
            { "role": "assistant", "content": "Wait.", "tool_calls": [
                { "id": "call-1", "type": "function",
                  "function": { "name": "get_weather", "arguments": "{\"city\":\"Lyon\"}" } },
                { "id": "call-2", "type": "function", "function": { "name": "get_weather", "arguments": "{}" } }
            ] },
            { "role": "tool", "tool_call_id": "call-1", "content": "{\"degrees\":21}" },
            { "role": "tool", "tool_call_id": "call-2", "content": "no city" },
            { "role": "user", "content": [
                { "type": "text", "text": "And here?" },
                { "type": "image_url", "image_url": { "url": "https://e.test/a.jpg" } }
            ] }
        ],
        "temperature": 0.2, "max_tokens": 100, "top_p": 0.9, "frequency_penalty": -0.5, "stop": ["END"],
        "tools": [{ "type": "function", "function": {
            "name": "get_weather", "description": "The weather.", "parameters": schema() } }],
        "tool_choice": { "type": "function", "function": { "name": "get_weather" } },
        "response_format": { "type": "json_schema",
            "json_schema": { "name": "place", "schema": schema(), "strict": true } },
        "stream": true, "stream_options": { "include_usage": true }
    });
    assert_eq!(openai_chat::encode(&everything(), "m", Dialect::COMMON, true), expected);
    let routed = openai_chat::encode(&Request::new("x"), "m", Dialect::OPENROUTER, false);
    assert_eq!(routed["usage"], json!({ "include": true }));
}

#[test]
fn openai_responses() {
    let failure = openai_responses::encode(&everything(), "m", false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidRequest);
    let request = Request { stop: Vec::new(), ..everything() };
    let expected = json!({
        "model": "gpt-5.4", "instructions": "Be brief.", "store": false, "include": ["reasoning.encrypted_content"],
        "input": [
            { "role": "user", "content": [
                { "type": "input_text", "text": "Where is this?" },
                { "type": "input_image", "image_url": "data:image/png;base64,iVBORw==" }
            ] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Wait." }] },
            { "type": "function_call", "call_id": "call-1", "name": "get_weather", "arguments": "{\"city\":\"Lyon\"}" },
            { "type": "function_call", "call_id": "call-2", "name": "get_weather", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "call-1", "output": "{\"degrees\":21}" },
            { "type": "function_call_output", "call_id": "call-2", "output": "no city" },
            { "role": "user", "content": [
                { "type": "input_text", "text": "And here?" },
                { "type": "input_image", "image_url": "https://e.test/a.jpg" }
            ] }
        ],
        "temperature": 0.2, "top_p": 0.9, "max_output_tokens": 100,
        "tools": [{ "type": "function", "name": "get_weather", "description": "The weather.",
                    "parameters": schema(), "strict": false }],
        "tool_choice": { "type": "function", "name": "get_weather" },
        "text": { "format": { "type": "json_schema", "name": "place", "schema": schema(), "strict": true } },
        "stream": true
    });
    assert_eq!(openai_responses::encode(&request, "gpt-5.4", true).unwrap(), expected);
    for (model, thinks) in
        [("gpt-4o-mini", false), ("o3", true), ("o4-mini", true), ("gpt-6-luna", true), ("gpt-5-chat-latest", false)]
    {
        let body = openai_responses::encode(&Request::new("x"), model, false).unwrap();
        assert_eq!(body.get("include").is_some(), thinks, "{model}");
    }
}

#[test]
fn anthropic() {
    let expected = json!({
        "model": "claude", "max_tokens": 100, "system": "Be brief.",
        "messages": [
            { "role": "user", "content": [
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw==" } },
                { "type": "text", "text": "Where is this?" }
            ] },
            { "role": "assistant", "content": [
                { "type": "text", "text": "Wait." },
                { "type": "tool_use", "id": "call-1", "name": "get_weather", "input": { "city": "Lyon" } },
                { "type": "tool_use", "id": "call-2", "name": "get_weather", "input": {} }
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "call-1", "content": "{\"degrees\":21}" },
                { "type": "tool_result", "tool_use_id": "call-2", "content": "no city", "is_error": true },
                { "type": "image", "source": { "type": "url", "url": "https://e.test/a.jpg" } },
                { "type": "text", "text": "And here?" }
            ] }
        ],
        "temperature": 0.2, "top_p": 0.9, "stop_sequences": ["END"],
        "tools": [{ "name": "get_weather", "description": "The weather.", "input_schema": schema() }],
        "tool_choice": { "type": "tool", "name": "get_weather" },
        "output_config": { "format": { "type": "json_schema", "schema": schema() } },
        "stream": true
    });
    assert_eq!(anthropic::encode(&everything(), "claude", 4096, true, false), expected);
    let body = anthropic::encode(&Request::new("x"), "claude", 4096, false, true);
    assert_eq!(body["max_tokens"], json!(4096));
}

#[test]
fn gemini() {
    let expected = json!({
        "systemInstruction": { "parts": [{ "text": "Be brief." }] },
        "contents": [
            { "role": "user", "parts": [
                { "inlineData": { "mimeType": "image/png", "data": "iVBORw==" } },
                { "text": "Where is this?" }
            ] },
            { "role": "model", "parts": [
                { "text": "Wait." },
                { "functionCall": { "name": "get_weather", "args": { "city": "Lyon" }, "id": "call-1" } },
                { "functionCall": { "name": "get_weather", "args": {}, "id": "call-2" } }
            ] },
            { "role": "user", "parts": [
                { "functionResponse": { "name": "get_weather", "response": { "result": { "degrees": 21 } },
                                        "id": "call-1" } },
                { "functionResponse": { "name": "get_weather", "response": { "error": "no city" }, "id": "call-2" } },
                { "fileData": { "fileUri": "https://e.test/a.jpg" } },
                { "text": "And here?" }
            ] }
        ],
        "tools": [{ "functionDeclarations": [
            { "name": "get_weather", "description": "The weather.", "parametersJsonSchema": schema() }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["get_weather"] } },
        "generationConfig": {
            "temperature": 0.2, "topP": 0.9, "maxOutputTokens": 100, "frequencyPenalty": -0.5,
            "stopSequences": ["END"], "responseMimeType": "application/json", "responseJsonSchema": schema()
        }
    });
    assert_eq!(gemini::encode(&everything()), expected);
    let made = Message::tool_result(&call("gemini-call-0", "{}"), "ok");
    let body = gemini::encode(&Request { turns: vec![made], ..Request::new("x") });
    let parts =
        json!([{ "text": "x" }, { "functionResponse": { "name": "get_weather", "response": { "result": "ok" } } }]);
    assert_eq!(body, json!({ "contents": [{ "role": "user", "parts": parts }] }));
}

/// What a platform wants back goes back to its own family unchanged, and to no other.
#[test]
fn thoughts_go_back_where_they_came_from() {
    let parts = json!([{ "type": "thinking", "thinking": "…", "signature": "s" }, { "type": "text", "text": "Hm." }]);
    for family in [Family::OpenAiChat, Family::OpenAiResponses, Family::Anthropic, Family::Gemini] {
        let opaque = Some(Opaque { family, parts: parts.clone() });
        let said = Message::Assistant { text: "Hm.".into(), tool_calls: Vec::new(), opaque };
        let request = Request { turns: vec![said], ..Request::new("x") };
        let signed = |body: Value| body.to_string().contains(r#""signature":"s""#);
        let chat = openai_chat::encode(&request, "m", Dialect::COMMON, false);
        assert_eq!(signed(chat.clone()), family == Family::OpenAiChat);
        assert_eq!(signed(openai_responses::encode(&request, "m", false).unwrap()), family == Family::OpenAiResponses);
        let body = anthropic::encode(&request, "m", 1, false, false);
        assert_eq!(signed(body.clone()), family == Family::Anthropic);
        assert_eq!(signed(gemini::encode(&request)), family == Family::Gemini);
        if family == Family::Anthropic {
            assert_eq!(body["messages"][1], json!({ "role": "assistant", "content": parts }));
        }
        if family == Family::OpenAiChat {
            assert_eq!(chat["messages"][1]["reasoning_details"], parts);
        }
    }
}

#[test]
fn whether_tools_are_called_is_said_in_every_format() {
    let choices = [
        (ToolChoice::Never, "none", "none", "none", "NONE"),
        (ToolChoice::Required, "required", "required", "any", "ANY"),
    ];
    for (choice, chat, responses, anthropic_word, gemini_word) in choices {
        let request = Request { tool_choice: choice, stop: Vec::new(), ..everything() };
        assert_eq!(openai_chat::encode(&request, "m", Dialect::COMMON, false)["tool_choice"], json!(chat));
        assert_eq!(openai_responses::encode(&request, "m", false).unwrap()["tool_choice"], json!(responses));
        assert_eq!(anthropic::encode(&request, "m", 1, false, false)["tool_choice"], json!({ "type": anthropic_word }));
        let config = &gemini::encode(&request)["toolConfig"]["functionCallingConfig"];
        assert_eq!(*config, json!({ "mode": gemini_word }));
    }
}
