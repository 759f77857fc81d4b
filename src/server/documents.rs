//! GraphQL documents that requests name by their SHA-256 instead of sending them: listed in a folder, or sent once
//! before (Apollo's protocol of automatic persisted queries).
//!
//! Invariant: where only listed documents are allowed, nothing else is ever executed, whoever has sent it before.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use anyhow::Context;
use async_graphql::Request;
use async_graphql::parser::types::ExecutableDocument;
use lru::LruCache;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How many documents that clients have sent are remembered.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(1000) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};
/// How long a document may be that is remembered, in bytes.
const LONGEST: usize = 64 * 1024;
/// How many documents are kept parsed, because most clients send the same ones again and again, and how long one may be
/// for that, in bytes.
const PARSED: NonZeroUsize = match NonZeroUsize::new(250) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};
const LONGEST_PARSED: usize = 8 * 1024;

/// The documents that requests may name.
pub(crate) struct Documents {
    listed: HashMap<String, Arc<str>>,
    only_listed: bool,
    remembered: Mutex<LruCache<String, Arc<str>>>,
    parsed: Mutex<LruCache<String, Arc<ExecutableDocument>>>,
}

impl Default for Documents {
    /// None are listed, and all are allowed.
    fn default() -> Self {
        Self {
            listed: HashMap::new(),
            only_listed: false,
            remembered: Mutex::new(LruCache::new(REMEMBERED)),
            parsed: Mutex::new(LruCache::new(PARSED)),
        }
    }
}

/// Why a request is not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

/// What a request says in its `extensions.persistedQuery`.
#[derive(Deserialize)]
struct Named {
    version: i32,
    #[serde(rename = "sha256Hash")]
    hash: String,
}

impl Documents {
    /// Reads the `.graphql` files of a folder. A document is known by the hash of its file, with and without white
    /// space at its ends.
    ///
    /// # Errors
    /// When the folder or a file cannot be read, a file is no GraphQL document, or only listed documents are allowed
    /// and no folder is named.
    pub(crate) fn load(folder: Option<&Path>, only_listed: bool) -> anyhow::Result<Self> {
        let mut documents = Self { only_listed, ..Self::default() };
        let Some(folder) = folder else {
            anyhow::ensure!(!only_listed, "`graphql.only_listed` needs a folder with documents in `graphql.documents`");
            return Ok(documents);
        };
        let shown = folder.display();
        let entries = std::fs::read_dir(folder).with_context(|| format!("the folder {shown} cannot be read"))?;
        for entry in entries {
            let path = entry.with_context(|| format!("the folder {shown} cannot be read"))?.path();
            if path.extension().is_none_or(|extension| extension != "graphql") {
                continue;
            }
            let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            async_graphql::parser::parse_query(&text)
                .with_context(|| format!("{} is no GraphQL document", path.display()))?;
            for text in [text.as_str(), text.trim()] {
                documents.listed.insert(hash(text), Arc::from(text));
            }
        }
        Ok(documents)
    }

    /// Puts the document that a request names into it, and refuses what is not allowed.
    pub(super) fn resolve(&self, request: &mut Request) -> Result<(), Refusal> {
        self.find(request)?;
        self.parse(request);
        Ok(())
    }

    /// Gives a request its document parsed, when that was done before. What is no document is told when it is executed.
    fn parse(&self, request: &mut Request) {
        if request.query.len() > LONGEST_PARSED {
            return;
        }
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(request.query.as_str()).map(Arc::clone);
        if let Some(document) = known {
            request.set_parsed_query(document.as_ref().clone());
        } else if let Ok(document) = request.parsed_query() {
            let document = Arc::new(document.clone());
            lock().put(request.query.clone(), document);
        }
    }

    fn find(&self, request: &mut Request) -> Result<(), Refusal> {
        let named = match request.extensions.remove("persistedQuery") {
            None => None,
            Some(value) => Some(async_graphql::from_value::<Named>(value).map_err(|_| UNREADABLE)?),
        };
        if named.as_ref().is_some_and(|named| named.version != 1) {
            return Err(UNREADABLE);
        }
        if request.query.is_empty() {
            // Without a name either, GraphQL itself says what is missing.
            let Some(named) = named else { return Ok(()) };
            let document = self.named(&named.hash.to_ascii_lowercase()).ok_or(NOT_FOUND)?;
            document.as_ref().clone_into(&mut request.query);
            return Ok(());
        }
        if named.is_none() && !self.only_listed {
            return Ok(());
        }
        let hash = hash(&request.query);
        if named.is_some_and(|named| !named.hash.eq_ignore_ascii_case(&hash)) {
            return Err(MISMATCH);
        }
        if self.only_listed {
            return if self.listed.contains_key(&hash) { Ok(()) } else { Err(NOT_LISTED) };
        }
        if request.query.len() <= LONGEST {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.put(hash, Arc::from(request.query.as_str()));
        }
        Ok(())
    }

    fn named(&self, hash: &str) -> Option<Arc<str>> {
        if let Some(document) = self.listed.get(hash) {
            return Some(Arc::clone(document));
        }
        if self.only_listed {
            return None;
        }
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(hash).map(Arc::clone)
    }
}

/// The message is what Apollo's clients look for; they then send the document along.
const NOT_FOUND: Refusal =
    Refusal { status: StatusCode::OK, code: "PERSISTED_QUERY_NOT_FOUND", message: "PersistedQueryNotFound" };
const NOT_LISTED: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "DOCUMENT_NOT_LISTED",
    message: "this server carries out only the documents of its list, and this is none of them",
};
const MISMATCH: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    code: "PERSISTED_QUERY_MISMATCH",
    message: "the SHA-256 in `extensions.persistedQuery` is not that of `query`",
};
const UNREADABLE: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    code: "BODY_INVALID",
    message: "`extensions.persistedQuery` must be {\"version\": 1, \"sha256Hash\": \"…\"}",
};

/// SHA-256 in lower-case hexadecimal.
fn hash(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(query: &str, hash: Option<&str>) -> Request {
        let extensions = match hash {
            Some(hash) => json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } }),
            None => json!({}),
        };
        serde_json::from_value(json!({ "query": query, "extensions": extensions })).unwrap()
    }

    #[test]
    fn what_was_sent_once_can_be_named() {
        let documents = Documents::default();
        let query = "{ journalHead }";
        let name = hash(query);
        assert_eq!(documents.resolve(&mut request("", Some(&name))), Err(NOT_FOUND));
        assert_eq!(documents.resolve(&mut request(query, Some(&hash("{ other }")))), Err(MISMATCH));
        assert_eq!(documents.resolve(&mut request(query, Some(&name))), Ok(()));
        let mut named = request("", Some(&name));
        assert_eq!(documents.resolve(&mut named), Ok(()));
        assert_eq!(named.query, query);
    }

    #[test]
    fn a_document_is_parsed_as_what_it_says_every_time() {
        let documents = Documents::default();
        for _ in 0..3 {
            for (query, field) in [("{ journalHead }", "journalHead"), ("{ position }", "position")] {
                let mut asked = request(query, None);
                assert_eq!(documents.resolve(&mut asked), Ok(()));
                assert!(format!("{:?}", asked.parsed_query().unwrap()).contains(field));
            }
            let mut broken = request("{ journalHead", None);
            assert_eq!(documents.resolve(&mut broken), Ok(()));
            assert!(broken.parsed_query().is_err());
        }
    }

    #[test]
    fn only_what_is_listed_is_carried_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("head.graphql"), "{ journalHead }\n").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no document").unwrap();
        let documents = Documents::load(Some(folder.path()), true).unwrap();
        assert_eq!(documents.resolve(&mut request("{ journalHead }", None)), Ok(()));
        assert_eq!(documents.resolve(&mut request("", Some(&hash("{ journalHead }")))), Ok(()));
        assert_eq!(documents.resolve(&mut request("{ position }", None)), Err(NOT_LISTED));
        let name = hash("{ position }");
        assert_eq!(documents.resolve(&mut request("{ position }", Some(&name))), Err(NOT_LISTED));
        assert_eq!(documents.resolve(&mut request("", Some(&name))), Err(NOT_FOUND));
        assert!(Documents::load(None, true).is_err());
        std::fs::write(folder.path().join("broken.graphql"), "{ journalHead").unwrap();
        assert!(Documents::load(Some(folder.path()), true).is_err());
    }
}
