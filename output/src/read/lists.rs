//! Lists, things to do, and marks, as models write them.

use domain::task::{ActionItem, Priority, Rating, RatingPart, Score};

use super::names::normal;

/// So many entries of a list are kept.
const MOST: usize = 200;

/// Whether a text says that there is nothing.
pub(super) fn none(text: &str) -> bool {
    let said = normal(text);
    let words = [
        "none",
        "n a",
        "na",
        "not applicable",
        "nothing",
        "no",
        "null",
        "nil",
        "no items",
        "no action items",
        "no suggestions",
        "لا شيء",
        "لا يوجد",
        "لا توجد",
        "لا ينطبق",
        "غير متوفر",
        "بلا",
    ];
    !text.chars().any(char::is_alphanumeric) || words.iter().any(|word| normal(word) == said)
}

/// The entries of a list; of a text without a list, its paragraphs. `None` when nothing was said at all.
pub(super) fn items(body: &str) -> Option<Vec<String>> {
    if body.trim().is_empty() {
        return None;
    }
    let mut all = entries(body);
    if all.is_empty() {
        let paragraphs = body.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
        all = paragraphs.map(str::to_owned).collect();
    }
    all.retain(|entry| !none(entry));
    all.truncate(MOST);
    Some(all)
}

/// The entries at the outermost level, each with what stands below it.
fn entries(body: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut outermost = usize::MAX;
    for line in body.lines() {
        let indent = line.len().saturating_sub(line.trim_start().len());
        match marker(line.trim_start()) {
            Some(rest) if indent <= outermost || entries.is_empty() => {
                outermost = indent;
                entries.push(rest.trim().to_owned());
            }
            _ => {
                if let Some(last) = entries.last_mut() {
                    last.push('\n');
                    last.push_str(line.trim_end());
                }
            }
        }
    }
    entries.into_iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

/// What is behind the mark of an entry of a list.
fn marker(line: &str) -> Option<&str> {
    for mark in ["- [ ] ", "- [x] ", "* [ ] ", "* [x] ", "- ", "* ", "+ ", "• ", "– ", "— "] {
        if let Some(rest) = line.strip_prefix(mark) {
            return Some(rest);
        }
    }
    let rest = line.trim_start_matches(char::is_numeric);
    if rest.len() == line.len() {
        return None;
    }
    let rest = rest.strip_prefix(['.', ')', '-'])?;
    rest.starts_with(' ').then_some(rest)
}

/// Things to do, from a list or a table. `None` when nothing was said at all.
pub(super) fn actions(body: &str) -> Option<Vec<ActionItem>> {
    if body.trim().is_empty() {
        return None;
    }
    if let Some(found) = table(body) {
        return Some(found);
    }
    Some(items(body)?.iter().filter_map(|entry| action(entry)).collect())
}

/// What a field of a thing to do says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    What,
    Owner,
    Due,
    Priority,
}

/// The field that a label names.
pub(super) fn field(label: &str) -> Option<Field> {
    let names: [(Field, &[&str]); 4] = [
        (
            Field::What,
            &[
                "what",
                "action",
                "action item",
                "task",
                "item",
                "title",
                "description",
                "step",
                "الإجراء",
                "المهمة",
                "البند",
                "ماذا",
                "الوصف",
                "العمل",
            ],
        ),
        (
            Field::Owner,
            &[
                "owner",
                "responsible",
                "assignee",
                "assigned to",
                "who",
                "responsibility",
                "المسؤول",
                "المسؤولية",
                "المالك",
                "الجهة المسؤولة",
                "من",
                "المكلف",
            ],
        ),
        (
            Field::Due,
            &[
                "due",
                "due date",
                "deadline",
                "by",
                "by when",
                "when",
                "date",
                "timeline",
                "الموعد",
                "الموعد النهائي",
                "تاريخ الاستحقاق",
                "الاستحقاق",
                "التاريخ",
                "المهلة",
                "متى",
                "الموعد المحدد",
            ],
        ),
        (Field::Priority, &["priority", "urgency", "الأولوية", "الأهمية", "اولوية"]),
    ];
    let label = normal(label);
    names.iter().find(|(_, names)| names.iter().any(|name| normal(name) == label)).map(|(field, _)| *field)
}

/// Puts a thing to do together from its fields.
#[derive(Default)]
pub(super) struct Draft {
    what: String,
    owner: Option<String>,
    due: Option<String>,
    priority: Option<Priority>,
}

impl Draft {
    pub(super) fn put(&mut self, field: Field, value: &str) {
        let value = bare(value);
        let given = (!none(&value) && !matches!(normal(&value).as_str(), "tbd" | "unknown" | "unassigned"))
            .then(|| value.clone());
        // A date has no letters, and is something.
        let dated = date(&value).or_else(|| given.clone());
        match field {
            Field::What => self.what = value,
            Field::Owner => self.owner = given,
            Field::Due => self.due = dated,
            Field::Priority => self.priority = priority(&value),
        }
    }

    pub(super) fn finish(self) -> Option<ActionItem> {
        let Self { what, owner, due, priority } = self;
        (!none(&what)).then_some(ActionItem { what, owner, due, priority })
    }
}

/// Without the marks of emphasis around it.
fn bare(text: &str) -> String {
    text.trim().trim_matches(['*', '_', '`']).trim().to_owned()
}

/// One thing to do: `what | owner: … | due: … | priority: …`, also in brackets, with other marks in between, or below each
/// other.
pub(super) fn action(entry: &str) -> Option<ActionItem> {
    let mut draft = Draft::default();
    let mut what: Vec<String> = Vec::new();
    let opened = entry.replace(['(', '[', '（'], " | ").replace([')', ']', '）'], " | ");
    let separated = if fields_in(&opened) > fields_in(entry) { opened } else { entry.to_owned() };
    for piece in separated.split(['|', ';', '؛', '\n']).flat_map(|piece| piece.split(" — ")) {
        let piece = piece.trim().trim_start_matches(['-', '*', '•']).trim().trim_end_matches([',', '،', '.']).trim();
        let labelled = piece.split_once([':', '：']).and_then(|(label, value)| Some((field(&bare(label))?, value)));
        match labelled {
            Some((field, value)) => draft.put(field, value),
            None if !piece.is_empty() => what.push(piece.to_owned()),
            None => {}
        }
    }
    if draft.what.is_empty() {
        draft.what = bare(&what.join(" "));
    }
    draft.finish()
}

fn fields_in(text: &str) -> usize {
    let labels = text.split(['|', ';', '؛', '\n']).filter_map(|piece| piece.split_once([':', '：']));
    labels.filter(|(label, _)| field(&bare(label)).is_some()).count()
}

/// Things to do from a table whose head names fields.
fn table(body: &str) -> Option<Vec<ActionItem>> {
    let mut rows = body.lines().map(str::trim).filter(|line| line.starts_with('|'));
    let cells =
        |row: &str| -> Vec<String> { row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let head: Vec<Option<Field>> = cells(rows.next()?).iter().map(|label| field(&bare(label))).collect();
    if !head.contains(&Some(Field::What)) {
        return None;
    }
    let is_rule = |row: &&str| row.chars().all(|mark| matches!(mark, '|' | '-' | ':' | ' '));
    let mut found = Vec::new();
    for row in rows.filter(|row| !is_rule(row)).take(MOST) {
        let mut draft = Draft::default();
        for (field, cell) in head.iter().zip(cells(row)) {
            if let Some(field) = field {
                draft.put(*field, &cell);
            }
        }
        found.extend(draft.finish());
    }
    Some(found)
}

fn priority(text: &str) -> Option<Priority> {
    let word = normal(text);
    let names: [(Priority, &[&str]); 3] = [
        (
            Priority::High,
            &["high", "urgent", "critical", "p0", "p1", "عالية", "عالي", "عاجلة", "عاجل", "مرتفعة", "قصوى", "مرتفع"],
        ),
        (Priority::Medium, &["medium", "normal", "moderate", "p2", "متوسطة", "متوسط", "عادية"]),
        (Priority::Low, &["low", "minor", "p3", "منخفضة", "منخفض", "قليلة"]),
    ];
    let own = |name: &&str| normal(name) == word || text.trim().eq_ignore_ascii_case(name);
    names.iter().find(|(_, names)| names.iter().any(own)).map(|(priority, _)| *priority)
}

/// A date in the manner of ISO 8601, whatever digits it was written with.
fn date(text: &str) -> Option<String> {
    let latin: String = text.chars().map(latin).collect();
    let date: jiff::civil::Date = latin.trim().replace('/', "-").parse().ok()?;
    Some(date.to_string())
}

/// Arabic digits as Latin ones.
fn latin(letter: char) -> char {
    let digit = match letter {
        '٠'..='٩' => u32::from(letter).checked_sub(u32::from('٠')),
        '۰'..='۹' => u32::from(letter).checked_sub(u32::from('۰')),
        _ => None,
    };
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(letter)
}

/// A mark and its parts: `score: 8/10` and `- accuracy: 9/10`.
pub(super) fn rating(body: &str) -> Option<Rating> {
    let (mut whole, mut parts) = (None, Vec::new());
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST) {
        let line = marker(line).unwrap_or(line);
        let labelled = line.split_once([':', '：']);
        let (label, value) = labelled.map_or(("", line), |(label, value)| (label, value));
        let Some(score) = score(value) else { continue };
        let label = bare(label);
        let name = normal(&label);
        let is_whole = [
            "",
            "score",
            "overall",
            "overall score",
            "total",
            "quality",
            "quality score",
            "rating",
            "الدرجة",
            "الإجمالي",
            "الدرجة الإجمالية",
            "الجودة",
            "التقييم",
            "درجة الجودة",
        ];
        if whole.is_none() && is_whole.iter().any(|word| normal(word) == name) {
            whole = Some(score);
        } else {
            parts.push(RatingPart { name: label, score });
        }
    }
    Some(Rating { score: whole?, parts })
}

/// A mark from 1 to 10 at the beginning of a text, as `8`, `8.5`, `8,5`, `8/10` or `8 out of 10`; one out of anything else is
/// none.
pub(super) fn score(text: &str) -> Option<Score> {
    let latin: String = text.trim().trim_matches(['*', '_', '`', ' ']).chars().map(latin).collect();
    let end = latin
        .find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, '.' | ',' | '٫')))
        .unwrap_or(latin.len());
    let (number, rest) = latin.split_at_checked(end)?;
    let rest = rest.trim_start().trim_start_matches(['*', '_']).trim_start();
    let out_of = ["/", "out of", "of", "من"].iter().find_map(|mark| rest.strip_prefix(mark)).map(str::trim_start);
    if rest.starts_with('%') || out_of.is_some_and(|all| !all.starts_with("10") || all.starts_with("100")) {
        return None;
    }
    let number = number.replace([',', '٫'], ".");
    let (whole, part) = number.trim_end_matches('.').split_once('.').unwrap_or((number.trim_end_matches('.'), ""));
    let whole: u16 = whole.parse().ok()?;
    let mut hundredths = part.chars().chain("00".chars()).take(2).collect::<String>().parse::<u16>().ok()?;
    hundredths = whole.checked_mul(100)?.checked_add(hundredths)?;
    Score::of_hundredths(hundredths)
}
