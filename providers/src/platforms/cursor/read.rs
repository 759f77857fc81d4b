//! What Cursor says and is told, without I/O.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::wire::error::excerpt;
use crate::{Failure, FailureKind, Image, Model, Usage};

/// So many pictures are taken with one prompt.
const PICTURES: usize = 5;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It has not ended, or Cursor has a word for it that we do not know.
    Going,
    Finished,
    Error,
    Cancelled,
    Expired,
}

/// A run as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) status: Status,
    /// The last thing that the agent said; only when it has ended.
    pub(super) result: Option<String>,
    /// Where it has pushed, as it came.
    pub(super) git: Option<Value>,
}

impl Run {
    /// # Errors
    /// When it is none.
    pub(super) fn read(run: &Value) -> Result<Self, Failure> {
        let Some(status) = run.get("status").and_then(Value::as_str) else {
            return Err(Failure::malformed(format!("a run without a status: {}", excerpt(&run.to_string()))));
        };
        let status = match status {
            "FINISHED" => Status::Finished,
            "ERROR" => Status::Error,
            "CANCELLED" => Status::Cancelled,
            "EXPIRED" => Status::Expired,
            _ => Status::Going,
        };
        let result = run.get("result").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { status, result, git: run.get("git").filter(|git| !git.is_null()).cloned() })
    }

    /// The branches that it has pushed and the pull requests of these, a line each.
    pub(super) fn links(&self) -> Vec<String> {
        let branches = self.git.as_ref().and_then(|git| git.get("branches")?.as_array());
        let line = |branch: &Value| {
            let part = |name: &str| branch.get(name).and_then(Value::as_str).map(excerpt);
            let (name, repository) = (part("branch")?, part("repoUrl"));
            let of = repository.map(|repository| format!(" of {repository}")).unwrap_or_default();
            let pull = part("prUrl").map(|url| format!(", pull request {url}")).unwrap_or_default();
            Some(format!("Branch {name}{of}{pull}"))
        };
        branches.into_iter().flatten().filter_map(line).collect()
    }
}

/// The text of a field that must be there.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, Failure> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::malformed(format!("the answer has no `{pointer}`: {}", excerpt(&value.to_string()))))
}

/// The tokens of a run, and the account as it came; `None` as long as nothing has been recorded of it, which Cursor shows by zeros
/// without an identifier.
pub(super) fn usage(account: &Value, run: &str) -> Option<(Usage, Value)> {
    let runs = account.get("runs")?.as_array()?;
    let entry = runs.iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(run))?;
    let raw = entry.get("usage")?;
    let count = |name: &str| raw.get(name).and_then(Value::as_u64);
    let [fresh, output, written, cached] =
        ["inputTokens", "outputTokens", "cacheWriteTokens", "cacheReadTokens"].map(count);
    let nothing = [fresh, output, written, cached].iter().all(|count| count.unwrap_or(0) == 0);
    if nothing && entry.get("usageUuid").is_none_or(Value::is_null) {
        return None;
    }
    // The total is the sum of the four, so what was read from a cache and written to one is no part of the input there.
    let input = fresh.and_then(|fresh| fresh.checked_add(written.unwrap_or(0))?.checked_add(cached.unwrap_or(0)));
    let usage = Usage { input, output, cached_input: cached, cache_write_other: written, ..Usage::default() };
    Some((usage, raw.clone()))
}

/// The prompt as Cursor takes it.
///
/// # Errors
/// `InvalidRequest` when there are more pictures than it takes.
pub(super) fn prompt(key: &str, text: &str, images: &[Image]) -> Result<Value, Failure> {
    if images.len() > PICTURES {
        let what = format!("{key}: {} pictures are shown, and it takes {PICTURES} at most", images.len());
        return Err(Failure::new(FailureKind::InvalidRequest, what));
    }
    let picture = |image: &Image| match image {
        Image::Bytes { media_type, data } => json!({ "data": STANDARD.encode(data), "mimeType": media_type }),
        Image::Url(url) => json!({ "url": url }),
    };
    let images: Vec<Value> = images.iter().map(picture).collect();
    Ok(if images.is_empty() { json!({ "text": text }) } else { json!({ "text": text, "images": images }) })
}

/// The models of a list.
pub(super) fn models(list: &Value) -> Vec<Model> {
    let items = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // Once they were mere names.
    let name = |item: &Value| item.as_str().or_else(|| item.get("id")?.as_str()).map(str::to_owned);
    items.iter().filter_map(name).map(Model::named).collect()
}

/// Whose key it is, for a person.
pub(super) fn whose(me: &Value) -> String {
    let part = |name: &str| me.get(name).and_then(Value::as_str).map(excerpt);
    match (part("apiKeyName"), part("userEmail")) {
        (Some(name), Some(user)) => format!("it answers to the key `{name}` of {user}"),
        (Some(name), None) => format!("it answers to the key `{name}`"),
        (None, _) => "it answers".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::{Run, Status, models, prompt, usage, whose};
    use crate::{FailureKind, Image};

    #[test]
    fn runs_are_read_with_where_they_have_pushed() {
        let run = json!({ "id": "run-1", "status": "FINISHED", "result": "Done.", "git": { "branches": [
            { "repoUrl": "github.com/a/b", "branch": "cursor/x", "prUrl": "https://github.com/a/b/pull/1" },
            { "repoUrl": "github.com/a/c", "branch": "cursor/y" },
            { "repoUrl": "github.com/a/d" },
        ] } });
        let run = Run::read(&run).unwrap();
        assert_eq!((run.status, run.result.as_deref()), (Status::Finished, Some("Done.")));
        let links = run.links();
        assert_eq!(
            links,
            [
                "Branch cursor/x of github.com/a/b, pull request https://github.com/a/b/pull/1",
                "Branch cursor/y of github.com/a/c"
            ]
        );
        for going in ["CREATING", "RUNNING", "SOMETHING_NEW"] {
            let run = Run::read(&json!({ "status": going })).unwrap();
            assert_eq!((run.status, run.links()), (Status::Going, Vec::new()));
        }
        assert_eq!(Run::read(&json!({ "id": "run-1" })).unwrap_err().kind, FailureKind::MalformedReply);
    }

    #[test]
    fn what_was_not_recorded_yet_is_not_nothing() {
        let zero = json!({ "inputTokens": 0, "outputTokens": 0, "cacheWriteTokens": 0, "cacheReadTokens": 0 });
        let some =
            json!({ "inputTokens": 6160, "outputTokens": 1660, "cacheWriteTokens": 11100, "cacheReadTokens": 21300 });
        let account = json!({ "runs": [
            { "id": "run-2", "usage": zero }, { "id": "run-1", "usageUuid": "u", "usage": some },
            { "id": "run-3", "usageUuid": "u", "usage": zero },
        ] });
        assert_eq!(usage(&account, "run-2"), None);
        assert_eq!(usage(&account, "run-9"), None);
        let (used, raw) = usage(&account, "run-1").unwrap();
        assert_eq!((used.input, used.output, used.cached_input), (Some(38_560), Some(1660), Some(21_300)));
        assert_eq!((used.fresh_input(), raw), (Some(6160), some));
        assert_eq!(usage(&account, "run-3").unwrap().0.input, Some(0), "that it used nothing was recorded");
    }

    #[test]
    fn pictures_go_with_the_prompt_up_to_five() {
        assert_eq!(prompt("c", "Look", &[]).unwrap(), json!({ "text": "Look" }));
        let image = Image::Bytes { media_type: "image/png".into(), data: bytes::Bytes::from_static(b"png") };
        let shown = prompt("c", "Look", &[image, Image::Url("https://x/y.png".into())]).unwrap();
        assert_eq!(shown["images"], json!([{ "data": "cG5n", "mimeType": "image/png" }, { "url": "https://x/y.png" }]));
        let six = vec![Image::Url("https://x".into()); 6];
        assert_eq!(prompt("c", "Look", &six).unwrap_err().kind, FailureKind::InvalidRequest);
    }

    #[test]
    fn lists_and_keys_are_read() {
        let list = models(&json!({ "items": [{ "id": "composer-2", "displayName": "x" }, "old-name", { "name": 1 }] }));
        assert_eq!(list.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["composer-2", "old-name"]);
        assert_eq!(whose(&json!({ "apiKeyName": "CI", "userEmail": "a@b" })), "it answers to the key `CI` of a@b");
        assert_eq!(whose(&json!({})), "it answers");
    }
}
