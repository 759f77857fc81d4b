//! A document as Markdown: events in, text out, so that whatever the texts hold ends where it ends.

use std::error::Error;

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Tag, TagEnd};
use pulldown_cmark_to_cmark::cmark;

use crate::compose::Document;
use crate::prose::{Block, Item, OPTIONS, Span, Table};

/// Writes a document as Markdown.
pub(crate) fn write(document: &Document) -> Result<String, Box<dyn Error + Send + Sync>> {
    if let Ok(text) = marked(&document.blocks) {
        return Ok(text);
    }
    // There are marks side by side that Markdown cannot tell apart. Where they stand, the text goes without.
    let without = |block: &Block| match marked(std::slice::from_ref(block)) {
        Ok(_) => block.clone(),
        Err(_) => block.without_marks(),
    };
    let blocks: Vec<Block> = document.blocks.iter().map(without).collect();
    Ok(marked(&blocks)?)
}

fn marked(all: &[Block]) -> Result<String, pulldown_cmark_to_cmark::Error> {
    let mut events = Vec::new();
    blocks(all, &mut events);
    let mut text = String::new();
    cmark(events.iter(), &mut text, OPTIONS)?;
    text.push('\n');
    Ok(text)
}

fn blocks<'d>(blocks: &'d [Block], events: &mut Vec<Event<'d>>) {
    for each in blocks {
        block(each, events);
    }
}

fn block<'d>(block: &'d Block, events: &mut Vec<Event<'d>>) {
    match block {
        Block::Heading { level, spans } => {
            let level = HeadingLevel::try_from(usize::from(*level)).unwrap_or(HeadingLevel::H6);
            events.push(Event::Start(Tag::Heading { level, id: None, classes: vec![], attrs: vec![] }));
            all(spans, true, events);
            events.push(Event::End(TagEnd::Heading(level)));
        }
        Block::Paragraph(spans) => {
            events.push(Event::Start(Tag::Paragraph));
            all(spans, false, events);
            events.push(Event::End(TagEnd::Paragraph));
        }
        Block::Code { language, text } => {
            let kind = CodeBlockKind::Fenced(CowStr::Borrowed(language));
            events.push(Event::Start(Tag::CodeBlock(kind)));
            events.push(Event::Text(CowStr::from(format!("{text}\n"))));
            events.push(Event::End(TagEnd::CodeBlock));
        }
        Block::Quote(within) => {
            let none: Option<BlockQuoteKind> = None;
            events.push(Event::Start(Tag::BlockQuote(none)));
            blocks(within, events);
            events.push(Event::End(TagEnd::BlockQuote(none)));
        }
        Block::List { start, items } => {
            events.push(Event::Start(Tag::List(*start)));
            items.iter().for_each(|each| item(each, events));
            events.push(Event::End(TagEnd::List(start.is_some())));
        }
        Block::Table(each) => table(each, events),
        Block::Rule => events.push(Event::Rule),
    }
}

/// An item of one paragraph stands in its line.
fn item<'d>(item: &'d Item, events: &mut Vec<Event<'d>>) {
    events.push(Event::Start(Tag::Item));
    if let Some(done) = item.checked {
        events.push(Event::TaskListMarker(done));
    }
    match &item.blocks[..] {
        [Block::Paragraph(spans), rest @ ..] if rest.iter().all(|block| matches!(block, Block::List { .. })) => {
            all(spans, false, events);
            blocks(rest, events);
        }
        within => blocks(within, events),
    }
    events.push(Event::End(TagEnd::Item));
}

fn table<'d>(table: &'d Table, events: &mut Vec<Event<'d>>) {
    events.push(Event::Start(Tag::Table(table.alignments.clone())));
    events.push(Event::Start(Tag::TableHead));
    cells(&table.head, events);
    events.push(Event::End(TagEnd::TableHead));
    for row in &table.rows {
        events.push(Event::Start(Tag::TableRow));
        cells(row, events);
        events.push(Event::End(TagEnd::TableRow));
    }
    events.push(Event::End(TagEnd::Table));
}

fn cells<'d>(row: &'d [Vec<Span>], events: &mut Vec<Event<'d>>) {
    for cell in row {
        events.push(Event::Start(Tag::TableCell));
        all(cell, true, events);
        events.push(Event::End(TagEnd::TableCell));
    }
}

fn all<'d>(spans: &'d [Span], one_line: bool, events: &mut Vec<Event<'d>>) {
    for each in spans {
        span(each, one_line, events);
    }
}

fn span<'d>(span: &'d Span, one_line: bool, events: &mut Vec<Event<'d>>) {
    let style = span.style;
    let marks = [
        (style.strong, Tag::Strong, TagEnd::Strong),
        (style.emphasis, Tag::Emphasis, TagEnd::Emphasis),
        (style.struck, Tag::Strikethrough, TagEnd::Strikethrough),
    ];
    // Marks cling to words: spaces at the ends stand outside of them.
    let marked = marks.iter().any(|(on, ..)| *on) && !style.code;
    let text = span.text.as_str();
    let inner = if marked { text.trim() } else { text };
    if inner.is_empty() {
        return events.push(Event::Text(CowStr::Borrowed(text)));
    }
    let (before, after) = if marked {
        let start = text.len().saturating_sub(text.trim_start().len());
        (text.get(..start).unwrap_or_default(), text.get(text.trim_end().len()..).unwrap_or_default())
    } else {
        ("", "")
    };
    let white = |space: &str| !space.is_empty();
    if white(before) {
        events.push(Event::Text(CowStr::Borrowed(" ")));
    }
    if let Some(link) = span.target() {
        let dest_url = CowStr::Borrowed(link);
        let (title, id) = (CowStr::Borrowed(""), CowStr::Borrowed(""));
        events.push(Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url, title, id }));
    }
    events.extend(marks.iter().filter(|(on, ..)| *on).map(|(_, tag, _)| Event::Start(tag.clone())));
    if style.code {
        events.push(Event::Code(CowStr::Borrowed(inner)));
    } else {
        for (index, line) in inner.split('\n').enumerate() {
            if index > 0 {
                events.push(if one_line { Event::Text(CowStr::Borrowed(" ")) } else { Event::HardBreak });
            }
            if !line.is_empty() {
                events.push(Event::Text(CowStr::Borrowed(line)));
            }
        }
    }
    events.extend(marks.iter().rev().filter(|(on, ..)| *on).map(|(.., tag)| Event::End(*tag)));
    if span.target().is_some() {
        events.push(Event::End(TagEnd::Link));
    }
    if white(after) {
        events.push(Event::Text(CowStr::Borrowed(" ")));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;
    use crate::prose::parse;

    fn markdown(blocks: Vec<Block>) -> String {
        write(&Document { title: String::new(), language: domain::Language::English, blocks }).unwrap()
    }

    #[test]
    fn what_is_read_is_written_and_read_again() {
        let text = "# A *b* `c`\n\nd **e**, [f](https://g.h/?i=j&k) ~~l~~\\\nm\n\n> n\n> - o\n>   1. p\n\n```rust\nfn q() {}\n```\n\n\
                    | r | s |\n|:--|--:|\n| t | u \\| v |\n\n* [ ] w\n* [x] x\n\n3. y\n4. z\n\n---\n\nالعنوان: **مهم** (1)";
        let blocks = parse(text, 1);
        assert_eq!(parse(&markdown(blocks.clone()), 1), blocks);
    }

    #[test]
    fn a_cut_answer_ends_where_it_ends() {
        for cut in ["```sql\nSELECT 1", "<!-- open", "<div>\n<p>", "| a | b |\n|--", "- a\n  - ```\n    b"] {
            let mut blocks = parse(cut, 2);
            blocks.push(Block::heading(2, "After"));
            let again = parse(&markdown(blocks), 2);
            assert_eq!(again.last(), Some(&Block::heading(2, "After")), "{cut}");
        }
    }

    proptest! {
        /// Plain text is never taken for markup.
        #[test]
        fn text_stays_text(text in "[ -~\u{600}-\u{64A}]{1,60}") {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assume!(!text.is_empty());
            let blocks = vec![Block::line(Span::plain(text)), Block::heading(2, "After")];
            prop_assert_eq!(parse(&markdown(blocks.clone()), 2), blocks);
        }

        /// Whatever Markdown a model wrote, what stands after it stands by itself.
        #[test]
        fn nothing_swallows_what_comes_after(text in "([-#>*`~|<!+=0-9. \n]|[a-c]){0,40}") {
            let mut blocks = parse(&text, 2);
            blocks.push(Block::heading(2, "After"));
            let written = markdown(blocks);
            let again = parse(&written, 2);
            prop_assert_eq!(again.last(), Some(&Block::heading(2, "After")), "{}", written);
        }
    }
}
