//! Text with structure, as all formats are written from it.
//!
//! Invariants: nothing in it is markup of any format; raw HTML that a model wrote is text like any other, and an image is
//! a link to it, so no format fetches anything. Nothing nests deeper than [`DEEPEST`], whatever was read.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::Direction;

/// How deep lists and quotations stand within each other; what is deeper stands at this depth.
pub(crate) const DEEPEST: usize = 12;

/// What of Markdown is known beside CommonMark.
pub(crate) const OPTIONS: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_STRIKETHROUGH).union(Options::ENABLE_TASKLISTS);

/// A part of a text that stands by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// A heading; levels count from 1 to 6.
    Heading { level: u8, spans: Vec<Span> },
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A program or other text whose spaces matter; without a line end at its end.
    Code { language: String, text: String },
    /// A quotation.
    Quote(Vec<Block>),
    /// A list; with the first number when it is numbered.
    List { start: Option<u64>, items: Vec<Item> },
    /// A table.
    Table(Table),
    /// A line across.
    Rule,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Item {
    /// Of a list of tasks: whether it is done.
    pub(crate) checked: Option<bool>,
    pub(crate) blocks: Vec<Block>,
}

/// A table. Rows may have fewer cells than the head.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table {
    pub(crate) alignments: Vec<Alignment>,
    pub(crate) head: Vec<Vec<Span>>,
    pub(crate) rows: Vec<Vec<Vec<Span>>>,
}

/// Text of one style.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Span {
    /// A line end in it is one that shows.
    pub(crate) text: String,
    pub(crate) style: Style,
    /// Where it leads.
    pub(crate) link: Option<String>,
}

/// How text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Style {
    pub(crate) strong: bool,
    pub(crate) emphasis: bool,
    pub(crate) struck: bool,
    pub(crate) code: bool,
}

impl Span {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn strong(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style { strong: true, ..Style::default() }, link: None }
    }

    pub(crate) fn code(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style { code: true, ..Style::default() }, link: None }
    }

    pub(crate) fn emphasis(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style { emphasis: true, ..Style::default() }, link: None }
    }

    /// Where it leads, when that is a kind of address that may be followed from a document.
    pub(crate) fn target(&self) -> Option<&str> {
        let link = self.link.as_deref()?;
        let scheme = link.split_once(':')?.0.to_ascii_lowercase();
        matches!(scheme.as_str(), "http" | "https" | "mailto").then_some(link)
    }
}

impl Block {
    pub(crate) fn heading(level: u8, text: impl Into<String>) -> Self {
        Self::Heading { level: level.clamp(1, 6), spans: vec![Span::plain(text)] }
    }

    /// A paragraph of one text.
    pub(crate) fn line(span: Span) -> Self {
        Self::Paragraph(vec![span])
    }

    /// The way that it goes by its letters; `None` when it has none. Programs go from left to right.
    pub(crate) fn direction(&self) -> Option<Direction> {
        if matches!(self, Self::Code { .. }) {
            return Some(Direction::LeftToRight);
        }
        let mut text = String::new();
        self.collect(&mut text);
        Direction::of(&text)
    }

    /// The same with plain text alone.
    pub(crate) fn without_marks(&self) -> Self {
        let plain = |spans: &[Span]| {
            let text: String = spans.iter().map(|span| span.text.replace('\n', " ")).collect();
            let text = text.trim();
            if text.is_empty() { Vec::new() } else { vec![Span::plain(text)] }
        };
        let all = |blocks: &[Self]| blocks.iter().map(Self::without_marks).collect::<Vec<_>>();
        match self {
            Self::Heading { level, spans } => Self::Heading { level: *level, spans: plain(spans) },
            Self::Paragraph(spans) => Self::Paragraph(plain(spans)),
            Self::Quote(blocks) => Self::Quote(all(blocks)),
            Self::List { start, items } => {
                let item = |item: &Item| Item { checked: item.checked, blocks: all(&item.blocks) };
                Self::List { start: *start, items: items.iter().map(item).collect() }
            }
            Self::Table(table) => {
                let row = |row: &Vec<Vec<Span>>| row.iter().map(|cell| plain(cell)).collect();
                let (head, rows) = (row(&table.head), table.rows.iter().map(row).collect());
                Self::Table(Table { alignments: table.alignments.clone(), head, rows })
            }
            Self::Code { .. } | Self::Rule => self.clone(),
        }
    }

    fn collect(&self, into: &mut String) {
        let mut all = |spans: &[Span]| spans.iter().for_each(|span| into.push_str(&span.text));
        match self {
            Self::Heading { spans, .. } | Self::Paragraph(spans) => all(spans),
            Self::Quote(blocks) => blocks.iter().for_each(|block| block.collect(into)),
            Self::List { items, .. } => {
                items.iter().flat_map(|item| &item.blocks).for_each(|block| block.collect(into));
            }
            Self::Table(table) => {
                table.head.iter().for_each(|cell| all(cell));
                table.rows.iter().flatten().for_each(|cell| all(cell));
            }
            // It says nothing about the language around it.
            Self::Code { .. } | Self::Rule => {}
        }
    }
}

/// Reads Markdown: CommonMark with tables, lists of tasks and struck text. The highest of its headings becomes `level`.
pub(crate) fn parse(markdown: &str, level: u8) -> Vec<Block> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, OPTIONS) {
        reader.read(event);
    }
    let mut blocks = reader.finish();
    demote(&mut blocks, level);
    blocks
}

fn demote(blocks: &mut [Block], level: u8) {
    fn each(blocks: &mut [Block], act: &mut impl FnMut(&mut u8)) {
        for block in blocks {
            match block {
                Block::Heading { level, .. } => act(level),
                Block::Quote(blocks) => each(blocks, act),
                Block::List { items, .. } => items.iter_mut().for_each(|item| each(&mut item.blocks, act)),
                _ => {}
            }
        }
    }
    let mut highest = 6;
    each(blocks, &mut |level| highest = highest.min(*level));
    each(blocks, &mut |own| *own = own.saturating_sub(highest).saturating_add(level).clamp(1, 6));
}

/// What is open while Markdown is read.
#[derive(Debug)]
enum Open {
    Quote(Vec<Block>),
    List {
        start: Option<u64>,
        items: Vec<Item>,
    },
    Item(Item),
    /// It is too deep to be kept apart from what is around it.
    TooDeep,
}

#[derive(Debug, Default)]
struct Reader {
    root: Vec<Block>,
    open: Vec<Open>,
    spans: Vec<Span>,
    strong: u32,
    emphasis: u32,
    struck: u32,
    links: Vec<String>,
    heading: Option<u8>,
    code: Option<(String, String)>,
    table: Option<Table>,
    row: Vec<Vec<Span>>,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.span(&text, false),
            },
            Event::InlineHtml(html) => {
                let tag = html.trim_matches(['<', '>', '/', ' ']);
                self.span(if tag.eq_ignore_ascii_case("br") { "\n" } else { &html }, false);
            }
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.span(&text, true),
            Event::SoftBreak => self.span(" ", false),
            Event::HardBreak => self.span("\n", false),
            Event::Rule => {
                self.flush();
                self.put(Block::Rule);
            }
            Event::TaskListMarker(done) => {
                if let Some(Open::Item(item)) = self.open.last_mut() {
                    item.checked = Some(done);
                }
            }
            Event::FootnoteReference(name) => self.span(&name, false),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(number(level));
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.nest(Open::Quote(Vec::new()));
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((info, String::new()));
            }
            Tag::List(start) => {
                self.flush();
                self.nest(Open::List { start, items: Vec::new() });
            }
            Tag::Item => {
                self.flush();
                let within = matches!(self.open.last(), Some(Open::List { .. }));
                self.open.push(if within { Open::Item(Item::default()) } else { Open::TooDeep });
            }
            Tag::Table(alignments) => {
                self.flush();
                self.table = Some(Table { alignments, ..Table::default() });
            }
            Tag::Strong => self.strong += 1,
            Tag::Emphasis => self.emphasis += 1,
            Tag::Strikethrough => self.struck += 1,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.links.push(dest_url.into_string()),
            Tag::TableHead | Tag::TableRow | Tag::TableCell => {}
            // Paragraphs, blocks of HTML, and what is not asked for.
            _ => self.flush(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                let spans = self.take_spans();
                if let Some(level) = self.heading.take().filter(|_| !spans.is_empty()) {
                    self.put(Block::Heading { level, spans });
                }
            }
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item => {
                self.flush();
                self.close();
            }
            TagEnd::CodeBlock => {
                if let Some((language, mut text)) = self.code.take() {
                    text.truncate(text.trim_end_matches('\n').len());
                    self.put(Block::Code { language, text });
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.put(Block::Table(table));
                }
            }
            TagEnd::TableHead => {
                let row = std::mem::take(&mut self.row);
                if let Some(table) = &mut self.table {
                    table.head = row;
                }
            }
            TagEnd::TableRow => {
                let row = std::mem::take(&mut self.row);
                if let Some(table) = &mut self.table {
                    table.rows.push(row);
                }
            }
            TagEnd::TableCell => {
                let cell = self.take_spans();
                self.row.push(cell);
            }
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Emphasis => self.emphasis = self.emphasis.saturating_sub(1),
            TagEnd::Strikethrough => self.struck = self.struck.saturating_sub(1),
            TagEnd::Link | TagEnd::Image => drop(self.links.pop()),
            _ => self.flush(),
        }
    }

    fn span(&mut self, text: &str, code: bool) {
        let (strong, emphasis) = (self.strong > 0, self.emphasis > 0);
        let style = Style { strong, emphasis, struck: self.struck > 0, code };
        let link = self.links.last().cloned();
        match self.spans.last_mut() {
            Some(last) if last.style == style && last.link == link => last.text.push_str(text),
            _ => self.spans.push(Span { text: text.to_owned(), style, link }),
        }
    }

    fn take_spans(&mut self) -> Vec<Span> {
        let mut spans = std::mem::take(&mut self.spans);
        if let Some(last) = spans.last_mut().filter(|last| !last.style.code) {
            last.text.truncate(last.text.trim_end().len());
        }
        spans.retain(|span| !span.text.is_empty());
        spans
    }

    /// Text that stood without a paragraph of its own, as in tight lists, becomes one.
    fn flush(&mut self) {
        let spans = self.take_spans();
        if !spans.is_empty() {
            self.put(Block::Paragraph(spans));
        }
    }

    fn nest(&mut self, open: Open) {
        let deep = self.open.iter().filter(|open| !matches!(open, Open::Item(_) | Open::TooDeep)).count();
        self.open.push(if deep < DEEPEST { open } else { Open::TooDeep });
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::Quote(blocks)) => self.put(Block::Quote(blocks)),
            Some(Open::List { start, items }) => self.put(Block::List { start, items }),
            Some(Open::Item(item)) => {
                if let Some(Open::List { items, .. }) = self.open.last_mut() {
                    items.push(item);
                }
            }
            Some(Open::TooDeep) | None => {}
        }
    }

    fn put(&mut self, block: Block) {
        for open in self.open.iter_mut().rev() {
            match open {
                Open::Quote(blocks) | Open::Item(Item { blocks, .. }) => return blocks.push(block),
                Open::List { .. } | Open::TooDeep => {}
            }
        }
        self.root.push(block);
    }

    fn finish(mut self) -> Vec<Block> {
        self.flush();
        while !self.open.is_empty() {
            self.close();
        }
        self.root
    }
}

const fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn structure_is_read() {
        let blocks =
            parse("## One\n\ntext **strong** and `code`\n\n- a\n- [x] b\n\n1. c\n\n   d\n\n| h |\n|--|\n| c |\n", 3);
        let [
            Block::Heading { level: 3, .. },
            Block::Paragraph(spans),
            Block::List { start: None, items },
            numbered,
            table,
        ] = &blocks[..]
        else {
            panic!("{blocks:#?}")
        };
        assert_eq!(spans.len(), 4);
        assert!(spans[1].style.strong && spans[3].style.code);
        assert_eq!(items[0].blocks, [Block::line(Span::plain("a"))]);
        assert_eq!(items[1].checked, Some(true));
        assert!(matches!(numbered, Block::List { start: Some(1), items } if items[0].blocks.len() == 2));
        assert!(matches!(table, Block::Table(table) if table.head.len() == 1 && table.rows.len() == 1));
    }

    #[test]
    fn html_is_text_and_an_image_a_link() {
        let blocks = parse("<script>alert(1)</script>\n\na <b>c</b> ![d](http://e/f.png) x<br>y", 2);
        assert_eq!(blocks[0], Block::line(Span::plain("<script>alert(1)</script>")));
        let Block::Paragraph(spans) = &blocks[1] else { panic!("{blocks:#?}") };
        assert_eq!(spans[0].text, "a <b>c</b> ");
        assert_eq!((spans[1].text.as_str(), spans[1].target()), ("d", Some("http://e/f.png")));
        assert_eq!(spans[2].text, " x\ny");
    }

    #[test]
    fn addresses_that_run_programs_are_not_followed() {
        for link in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "#here", "vbscript:x"] {
            assert_eq!(Span { link: Some(link.to_owned()), ..Span::plain("x") }.target(), None, "{link}");
        }
    }

    #[test]
    fn nothing_nests_for_ever() {
        let deep = format!("{} deep", ">".repeat(20_000));
        let mut blocks = &parse(&deep, 2)[..];
        let mut depth = 0;
        while let [Block::Quote(within)] = blocks {
            (blocks, depth) = (within, depth + 1);
        }
        assert_eq!(depth, DEEPEST);
        assert_eq!(blocks, [Block::line(Span::plain("deep"))]);
        let lists: String = (0..400).map(|level| format!("{}- {level}\n", "  ".repeat(level))).collect();
        parse(&lists, 2);
    }
}
