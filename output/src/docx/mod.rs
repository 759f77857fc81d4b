//! A document as a Word document: WordprocessingML (ECMA-376, transitional) in a zip archive.
//!
//! Paragraphs, runs and tables say themselves which way they go: Word takes brackets and numbers at the edges of
//! right-to-left text to the wrong side where only the letters say it.

mod parts;
mod runs;
mod xml;

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

use crate::Direction;
use crate::compose::Document;
use crate::prose::{Block, Item, Span, Table};
use xml::Xml;

type Failed = Box<dyn std::error::Error + Send + Sync>;

const MAIN: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// The width of a page between its margins, and how far each level stands in, in twentieths of a point.
const WIDTH: usize = 9638;
const INDENT: usize = 425;
/// Word has nine levels of lists.
const LEVELS: usize = 9;

/// Writes a document as a Word document.
pub(crate) fn write(document: &Document) -> Result<Vec<u8>, Failed> {
    let mut body = Body { xml: Xml::new()?, links: Vec::new(), lists: Vec::new() };
    body.document(document)?;
    let Body { xml, links, lists } = body;
    let files = [
        ("[Content_Types].xml", parts::content_types()?),
        ("_rels/.rels", parts::package()?),
        ("docProps/core.xml", parts::properties(document)?),
        ("word/_rels/document.xml.rels", parts::relationships(&links)?),
        ("word/styles.xml", parts::styles(document)?),
        ("word/numbering.xml", parts::numbering(&lists)?),
        ("word/document.xml", xml.finish()),
    ];
    // The same document gives the same bytes, so the archive knows no time.
    let options = SimpleFileOptions::default().last_modified_time(DateTime::default());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(name, options)?;
        archive.write_all(&content)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// A numbered or plain list that has begun: its first number and its level.
pub(crate) struct List {
    pub(crate) start: Option<u64>,
    pub(crate) level: usize,
}

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    direction: Direction,
    /// How many lists and quotations are around it.
    depth: usize,
    quoted: bool,
}

/// What the first paragraph of an item of a list carries: which list, and its level.
#[derive(Clone, Copy)]
struct Mark {
    list: usize,
    level: usize,
}

struct Body {
    xml: Xml,
    /// Where links lead.
    links: Vec<String>,
    /// Every list, which Word numbers from 1.
    lists: Vec<List>,
}

impl Body {
    fn document(&mut self, document: &Document) -> Result<(), Failed> {
        self.xml.open("w:document", &[("xmlns:w", MAIN), ("xmlns:r", RELATIONSHIPS)])?;
        self.xml.open("w:body", &[])?;
        for block in &document.blocks {
            let direction = block.direction().unwrap_or(document.direction());
            self.block(block, Place { direction, depth: 0, quoted: false }, None)?;
        }
        self.xml.open("w:sectPr", &[])?;
        self.xml.empty("w:pgSz", &[("w:w", "11906"), ("w:h", "16838")])?;
        let margin = "1134";
        let margins = [("w:top", margin), ("w:right", margin), ("w:bottom", margin), ("w:left", margin)];
        self.xml.empty(
            "w:pgMar",
            &[&margins[..], &[("w:header", "708"), ("w:footer", "708"), ("w:gutter", "0")]].concat(),
        )?;
        if document.direction().is_right_to_left() {
            self.xml.empty("w:bidi", &[])?;
        }
        self.xml.close("w:sectPr")?;
        self.xml.close("w:body")?;
        self.xml.close("w:document")
    }

    fn block(&mut self, block: &Block, place: Place, mark: Option<Mark>) -> Result<(), Failed> {
        match block {
            Block::Heading { level, spans } => self.paragraph(Some(&format!("Heading{level}")), spans, place, mark),
            Block::Paragraph(spans) => self.paragraph(place.quoted.then_some("Quote"), spans, place, mark),
            Block::Code { text, .. } => {
                let place = Place { direction: Direction::LeftToRight, ..place };
                self.paragraph(Some("Code"), &[Span::plain(text.clone())], place, mark)
            }
            Block::Quote(blocks) => {
                let place = Place { depth: place.depth.saturating_add(1), quoted: true, ..place };
                blocks.iter().try_for_each(|block| self.block(block, place, None))
            }
            Block::List { start, items } => {
                let level = place.depth.min(LEVELS.saturating_sub(1));
                self.lists.push(List { start: *start, level });
                let mark = Mark { list: self.lists.len(), level };
                items.iter().try_for_each(|item| self.item(item, place, mark))
            }
            Block::Table(table) => self.table(table, place),
            Block::Rule => self.rule(),
        }
    }

    fn item(&mut self, item: &Item, place: Place, mark: Mark) -> Result<(), Failed> {
        let within = Place { depth: place.depth.saturating_add(1), ..place };
        let mut blocks = item.blocks.iter();
        let tick = item.checked.map(|done| Span::plain(if done { "☑ " } else { "☐ " }));
        match (blocks.as_slice().first(), tick) {
            (Some(Block::Paragraph(spans)), Some(tick)) => {
                blocks.next();
                let spans: Vec<Span> = std::iter::once(tick).chain(spans.iter().cloned()).collect();
                self.paragraph(None, &spans, within, Some(mark))?;
            }
            (Some(first @ (Block::Paragraph(_) | Block::Heading { .. } | Block::Code { .. })), None) => {
                blocks.next();
                self.block(first, within, Some(mark))?;
            }
            (_, tick) => self.paragraph(None, tick.as_slice(), within, Some(mark))?,
        }
        blocks.try_for_each(|block| self.block(block, within, None))
    }

    fn paragraph(
        &mut self,
        style: Option<&str>,
        spans: &[Span],
        place: Place,
        mark: Option<Mark>,
    ) -> Result<(), Failed> {
        self.xml.open("w:p", &[])?;
        self.xml.open("w:pPr", &[])?;
        if let Some(style) = style {
            self.xml.empty("w:pStyle", &[("w:val", style)])?;
        }
        if let Some(mark) = mark {
            self.xml.open("w:numPr", &[])?;
            self.xml.empty("w:ilvl", &[("w:val", &mark.level.to_string())])?;
            self.xml.empty("w:numId", &[("w:val", &mark.list.to_string())])?;
            self.xml.close("w:numPr")?;
        }
        if place.direction.is_right_to_left() {
            self.xml.empty("w:bidi", &[])?;
        }
        if mark.is_none() && place.depth > 0 {
            let indent = place.depth.saturating_mul(INDENT).to_string();
            self.xml.empty("w:ind", &[("w:left", &indent)])?;
        }
        self.xml.close("w:pPr")?;
        self.spans(spans, place.direction)?;
        self.xml.close("w:p")
    }

    fn spans(&mut self, spans: &[Span], direction: Direction) -> Result<(), Failed> {
        for span in spans {
            let target = span.target();
            if let Some(target) = target {
                self.links.push(target.to_owned());
                let id = parts::link_id(self.links.len());
                self.xml.open("w:hyperlink", &[("r:id", &id), ("w:history", "1")])?;
            }
            for (text, way) in runs::split(&span.text, direction) {
                runs::write(&mut self.xml, text, way, span.style, target.is_some())?;
            }
            if target.is_some() {
                self.xml.close("w:hyperlink")?;
            }
        }
        Ok(())
    }

    fn rule(&mut self) -> Result<(), Failed> {
        self.xml.open("w:p", &[])?;
        self.xml.open("w:pPr", &[])?;
        self.xml.open("w:pBdr", &[])?;
        let line = [("w:val", "single"), ("w:sz", "6"), ("w:space", "1"), ("w:color", "auto")];
        self.xml.empty("w:bottom", &line)?;
        self.xml.close("w:pBdr")?;
        self.xml.close("w:pPr")?;
        self.xml.close("w:p")
    }

    fn table(&mut self, table: &Table, place: Place) -> Result<(), Failed> {
        let columns = table.rows.iter().map(Vec::len).chain([table.head.len()]).max().unwrap_or(0).max(1);
        let width = WIDTH.checked_div(columns).unwrap_or(WIDTH).to_string();
        self.xml.open("w:tbl", &[])?;
        self.xml.open("w:tblPr", &[])?;
        self.xml.empty("w:tblStyle", &[("w:val", "TableGrid")])?;
        if place.direction.is_right_to_left() {
            // The first column stands on the right.
            self.xml.empty("w:bidiVisual", &[])?;
        }
        self.xml.empty("w:tblW", &[("w:w", "0"), ("w:type", "auto")])?;
        self.xml.close("w:tblPr")?;
        self.xml.open("w:tblGrid", &[])?;
        for _ in 0..columns {
            self.xml.empty("w:gridCol", &[("w:w", &width)])?;
        }
        self.xml.close("w:tblGrid")?;
        if !table.head.is_empty() {
            self.row(&table.head, columns, &width, place, true)?;
        }
        table.rows.iter().try_for_each(|row| self.row(row, columns, &width, place, false))?;
        self.xml.close("w:tbl")?;
        // Two tables that touch would be one.
        self.xml.empty("w:p", &[])
    }

    fn row(
        &mut self,
        cells: &[Vec<Span>],
        columns: usize,
        width: &str,
        place: Place,
        is_head: bool,
    ) -> Result<(), Failed> {
        let place = Place { depth: 0, quoted: false, ..place };
        self.xml.open("w:tr", &[])?;
        if is_head {
            self.xml.open("w:trPr", &[])?;
            self.xml.empty("w:tblHeader", &[])?;
            self.xml.close("w:trPr")?;
        }
        for column in 0..columns {
            let mut spans = cells.get(column).cloned().unwrap_or_default();
            spans.iter_mut().for_each(|span| span.style.strong |= is_head);
            self.xml.open("w:tc", &[])?;
            self.xml.open("w:tcPr", &[])?;
            self.xml.empty("w:tcW", &[("w:w", width), ("w:type", "dxa")])?;
            self.xml.close("w:tcPr")?;
            self.paragraph(Some("TableText"), &spans, place, None)?;
            self.xml.close("w:tc")?;
        }
        self.xml.close("w:tr")
    }
}
