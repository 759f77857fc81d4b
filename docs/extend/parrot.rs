//! Parrot, a service that does not exist.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::{Http, Protocol, below};
use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::wire::{Answer, Decode, Draft, Fold, Progress, StreamDecoder, whole_body};
use crate::{Failure, FailureKind, Finish, Platform, Request, Usage};

/// Its own service.
const HOME: &str = "https://api.parrot.example/v2";

/// Whose prices its calls have, as LiteLLM's map calls the vendor.
const VENDOR: &str = "parrot";

/// The kind `parrot`. With `PARROT_API_KEY` in the environment there is a platform of this kind, without any configuration.
pub const KIND: Kind = Kind { service: Some("PARROT"), vendor: Some(VENDOR), ..Kind::over_http::<Own>("parrot") };

/// The settings that it has besides those of everything that is reached over HTTP.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// Whether it shouts; it does not when not given.
    loud: Option<bool>,
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["loud"];

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let loud = self.loud.unwrap_or(false);
        Ok(Arc::new(Http::speaking(Parrot { loud }, setup.at(HOME, Some("ara")))?))
    }
}

/// Speaks with the service. Its answers look like `{"said": "…", "ended": "done", "units": {"in": 3, "out": 5}}`, and its
/// streams are server-sent events of the same form, of which the last has `ended`.
#[derive(Debug, Clone, Copy)]
pub struct Parrot {
    loud: bool,
}

impl Protocol for Parrot {
    fn home(&self) -> &'static str {
        HOME
    }

    fn credentials(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("x-parrot-key", key.to_owned())]
    }

    fn needs_key(&self, host: &str) -> Option<&'static str> {
        (host == "api.parrot.example").then_some("it has no API key: set PARROT_API_KEY or api_key")
    }

    /// Its calls are unpriced until a list of prices knows this vendor.
    fn vendor(&self, _host: &str) -> Option<&'static str> {
        Some(VENDOR)
    }

    fn address(&self, base: &Url, _model: &str, _stream: bool) -> Url {
        below(base, &["say"])
    }

    fn encode(&self, request: &Request, model: &str, _limit: Option<u32>, stream: bool) -> Result<Value, Failure> {
        // What a platform has no words for is refused and never left out in silence.
        if !request.tools.is_empty() || !request.turns.is_empty() || !request.images.is_empty() {
            return Err(Failure::new(FailureKind::InvalidRequest, "a parrot hears one plain text"));
        }
        Ok(json!({ "bird": model, "hears": request.user, "loud": self.loud, "bit_by_bit": stream }))
    }

    fn decode(&self, body: &[u8]) -> Result<Answer, Failure> {
        whole_body(body, Squawk)
    }

    fn decoder(&self, limit: usize) -> Box<dyn Decode> {
        Box::new(StreamDecoder::new(Squawk, limit))
    }
}

/// Reads whole answers, and the events of a stream, which look the same.
#[derive(Debug)]
struct Squawk;

impl Fold for Squawk {
    fn account(&self, value: &Value, draft: &mut Draft) {
        draft.account(value.get("units"));
    }

    fn whole(&mut self, value: &Value, draft: &mut Draft) -> Result<(), Failure> {
        draft.say(value["said"].as_str().unwrap_or_default())?;
        let finish = |ended: &str| if ended == "done" { Finish::Stop } else { Finish::Other(ended.to_owned()) };
        draft.finish = value["ended"].as_str().map(finish);
        Ok(())
    }

    fn event(&mut self, _name: &str, value: Value, draft: &mut Draft) -> Result<Progress, Failure> {
        self.account(&value, draft);
        self.whole(&value, draft)?;
        Ok(if draft.finish.is_some() { Progress::Done } else { Progress::More })
    }

    /// `input` and `output` are the whole of what is paid for; what is not reported stays `None`.
    fn usage(&self, raw: &Value) -> Usage {
        Usage { input: raw["in"].as_u64(), output: raw["out"].as_u64(), ..Usage::default() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::http::Options;
    use crate::kind::KINDS;

    const PARROT: Parrot = Parrot { loud: false };

    #[test]
    fn reads_answers_and_errors() {
        let answer = PARROT.decode(br#"{"said": "Hello!", "ended": "done", "units": {"in": 3, "out": 5}}"#).unwrap();
        assert_eq!((answer.text.as_str(), answer.usage.output), ("Hello!", Some(5)));

        // An error under a status of success, with what had been used by then.
        let failure = PARROT.decode(br#"{"error": "it flew away", "units": {"in": 3, "out": 1}}"#).unwrap_err();
        assert_eq!((failure.kind, failure.consumed.unwrap().usage.output), (FailureKind::PlatformFailure, Some(1)));

        // The same answer as a stream, cut in the middle of an event.
        let mut decoder = PARROT.decoder(1000);
        decoder.push(b"data: {\"said\": \"Hel\"}\n\ndata: {\"said\": \"lo!\", \"en").unwrap();
        decoder.push(b"ded\": \"done\", \"units\": {\"in\": 3, \"out\": 5}}\n\n").unwrap();
        assert_eq!(decoder.finish().unwrap(), answer);

        // A stream that breaks off is a failure that tells what had come.
        let mut decoder = PARROT.decoder(1000);
        decoder.push(b"data: {\"said\": \"Hel\"}\n\n").unwrap();
        let failure = decoder.finish().unwrap_err();
        assert_eq!((failure.kind, failure.consumed.unwrap().text_bytes), (FailureKind::MalformedReply, 3));
    }

    #[test]
    fn is_a_kind_of_platform() {
        let kind = KINDS.iter().find(|kind| kind.name == "parrot").unwrap();
        let table = |text: &str| serde_json::from_str(text).unwrap();
        let own = (kind.read)(table(r#"{ "loud": true }"#)).unwrap();
        assert_eq!(own.shown(), table(r#"{ "loud": true }"#));
        assert!((kind.read)(table(r#"{ "quiet": true }"#)).unwrap_err().contains("unknown field `quiet`"));
        let setup = Setup {
            key: "polly",
            model: None,
            base_url: Some("http://localhost:9/v2".to_owned()),
            http: Options::new("polly", ""),
            data_dir: std::path::Path::new("data"),
            variable: &|_| None,
        };
        assert_eq!(own.open(setup).unwrap().key(), "polly");
    }
}
