//! The input of a run as the command line gives it.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::failure::Failure;

/// The largest file that is read for an input, in bytes. The whole input has a limit of its own, which the server
/// checks.
const MAX_FILE: u64 = 512 * 1024;

/// Puts `key=text`, `key=@path` and `key:=json` together to one object.
pub(crate) fn parse(arguments: &[String]) -> Result<Value, Failure> {
    let mut input = Map::new();
    for argument in arguments {
        let (key, value) = one(argument)?;
        if input.insert(key.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("the input `{key}` is given twice")));
        }
    }
    Ok(Value::Object(input))
}

fn one(argument: &str) -> Result<(&str, Value), Failure> {
    let form = || {
        let argument: String = argument.chars().take(80).collect();
        Failure::usage(format!(
            "`{argument}` is no input; it must be KEY=TEXT, KEY=@PATH for the text of a file, or KEY:=JSON"
        ))
    };
    let (key, text) = argument.split_once('=').ok_or_else(form)?;
    let (key, value) = if let Some(key) = key.strip_suffix(':') {
        let value = serde_json::from_str(text);
        (key, value.map_err(|error| Failure::usage(format!("the value of `{key}` is no JSON: {error}")))?)
    } else if let Some(path) = text.strip_prefix('@') {
        (key, Value::String(read(key, Path::new(path))?))
    } else {
        (key, Value::String(text.to_owned()))
    };
    if key.is_empty() { Err(form()) } else { Ok((key, value)) }
}

fn read(key: &str, path: &Path) -> Result<String, Failure> {
    let refuse =
        |what: String| Failure::usage(format!("the input `{key}` cannot be read from {}: {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(refuse("it is a directory".to_owned()));
    }
    let mut bytes = Vec::new();
    // The size is not asked beforehand: a pipe has none.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(refuse(format!("it has more than {MAX_FILE} bytes, the most that an input may have")));
    }
    String::from_utf8(bytes).map_err(|error| {
        refuse(format!("it is no UTF-8 text (the first wrong byte is byte {})", error.utf8_error().valid_up_to()))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Value, String> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        parse(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn three_forms_are_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "grüße\n").unwrap();
        let from_file = format!("file=@{}", file.path().display());
        let input = parsed(&["text=a=b", "count:=3", "list:=[1,2]", &from_file]).unwrap();
        assert_eq!(input, json!({"text": "a=b", "count": 3, "list": [1, 2], "file": "grüße\n"}));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(parsed(&["text"]).unwrap_err().contains("KEY=TEXT"));
        assert!(parsed(&["=x"]).unwrap_err().contains("KEY=TEXT"));
        assert!(parsed(&["a=1", "a=2"]).unwrap_err().contains("twice"));
        assert!(parsed(&["a:=nope"]).unwrap_err().contains("no JSON"));
        assert!(parsed(&["a=@/nowhere/x"]).unwrap_err().contains("/nowhere/x"));
        assert!(parsed(&["a=@/"]).unwrap_err().contains("directory"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [b'a', 0xff]).unwrap();
        assert!(parsed(&[&format!("a=@{}", file.path().display())]).unwrap_err().contains("byte 1"));
        std::fs::write(&file, vec![b'a'; 600_000]).unwrap();
        assert!(parsed(&[&format!("a=@{}", file.path().display())]).unwrap_err().contains("524288"));
    }
}
