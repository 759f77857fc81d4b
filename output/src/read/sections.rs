//! Headed Markdown.

use domain::task::Output;

use super::lists::{actions, items, none, rating};
use super::names::{Part, part};

/// The parts of an answer, by its headings; `None` when it has no heading that names a part.
pub(super) fn read(text: &str) -> Option<Output> {
    let Split { before, parts } = split(text);
    if parts.is_empty() {
        return None;
    }
    let mut output = Output::default();
    for (name, body) in parts {
        let body = body.trim();
        match name {
            Part::Summary => output.summary = said(body),
            Part::Results | Part::Data => append(&mut output.results, body),
            Part::Improvements => output.improvements = items(body),
            Part::Critique => output.critique = said(body),
            Part::Alternatives => output.alternatives = items(body),
            Part::Actions => output.actions = actions(body),
            Part::Rating => output.rating = rating(body),
        }
    }
    // A line that leads over to the form is none of the results; more than that may be all of them.
    let before = before.trim();
    if output.results.is_empty() || before.chars().count() > 200 {
        output.results = match output.results.is_empty() {
            true => before.to_owned(),
            false => format!("{before}\n\n{}", output.results),
        };
    }
    Some(output)
}

fn said(body: &str) -> Option<String> {
    (!body.is_empty() && !none(body)).then(|| body.to_owned())
}

fn append(results: &mut String, body: &str) {
    if !results.is_empty() {
        results.push_str("\n\n");
    }
    results.push_str(body);
}

struct Split {
    before: String,
    parts: Vec<(Part, String)>,
}

/// A line that may begin a part.
struct Heading<'l> {
    part: Part,
    /// How deep it stands, when it is a heading of Markdown with number signs.
    level: Option<usize>,
    /// What stands behind it on its line.
    rest: &'l str,
}

fn split(text: &str) -> Split {
    let mut split = Split { before: String::new(), parts: Vec::new() };
    let mut fence: Option<(char, usize)> = None;
    // Headings of parts stand as deep as the first one.
    let mut level: Option<usize> = None;
    let lines: Vec<&str> = text.lines().collect();
    let mut was_blank = true;
    let mut skip = false;
    for (index, line) in lines.iter().copied().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        let marks = fence_of(line);
        if let Some((mark, length)) = fence {
            if marks.is_some_and(|(own, many, rest)| own == mark && many >= length && rest.is_empty()) {
                fence = None;
            }
        } else if let Some((mark, length, _)) = marks {
            fence = Some((mark, length));
        } else if let Some(heading) = heading(line, was_blank) {
            // Results have headings of their own.
            let within = matches!(split.parts.last(), Some((Part::Results, _)));
            let deeper = within && heading.level.zip(level).is_some_and(|(own, first)| own > first);
            let seen = split.parts.iter().any(|(part, _)| *part == heading.part);
            if !deeper && !seen {
                level = level.or(heading.level);
                split.parts.push((heading.part, heading.rest.to_owned()));
                was_blank = true;
                // A heading that is underlined.
                let under = lines.get(index.saturating_add(1)).map(|line| line.trim()).unwrap_or_default();
                skip = heading.rest.is_empty()
                    && under.len() >= 3
                    && (under.chars().all(|mark| mark == '=') || under.chars().all(|mark| mark == '-'));
                continue;
            }
        }
        let into = split.parts.last_mut().map_or(&mut split.before, |(_, body)| body);
        into.push('\n');
        into.push_str(line);
        was_blank = line.trim().is_empty();
    }
    split
}

/// The mark, how often it stands there, and what is behind it, of a line that opens or closes a fence.
fn fence_of(line: &str) -> Option<(char, usize, &str)> {
    let line = line.trim();
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let rest = line.trim_start_matches(mark);
    let length = line.len().saturating_sub(rest.len());
    (length >= 3 && !rest.contains(mark)).then_some((mark, length, rest.trim()))
}

fn heading(line: &str, was_blank: bool) -> Option<Heading<'_>> {
    let text = line.trim();
    let bare = text.trim_start_matches('#');
    let level = text.len().saturating_sub(bare.len());
    if level > 0 {
        let level = Some(level);
        let label = bare.trim().trim_end_matches('#');
        if let Some(part) = part(label) {
            return Some(Heading { part, level, rest: "" });
        }
        let (label, rest) = cut(label)?;
        return Some(Heading { part: part(label)?, level, rest });
    }
    // As in "1. **Summary**".
    let text = text.trim_start_matches(|mark: char| mark.is_numeric() || matches!(mark, '.' | ')' | ' '));
    for mark in ["**", "__"] {
        if let Some((label, rest)) = text.strip_prefix(mark).and_then(|inner| inner.split_once(mark)) {
            let rest = rest.trim_start().trim_start_matches([':', '：']).trim();
            return Some(Heading { part: part(label)?, level: None, rest });
        }
    }
    let (label, rest) = cut(text)?;
    let part = part(label)?;
    (rest.is_empty() || was_blank).then_some(Heading { part, level: None, rest })
}

/// What is before and behind the first colon.
fn cut(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.split_once([':', '：'])?;
    Some((label, rest.trim()))
}
