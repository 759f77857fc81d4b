//! A document as PDF: pages of A4, with bookmarks, links and page numbers.
//!
//! Text is shaped and broken into lines by parley, which knows Arabic letters and both directions, and written by krilla,
//! which embeds what is used of the fonts, so the text can be searched and copied.

mod text;

use krilla::Document as Pdf;
use krilla::action::{Action, LinkAction};
use krilla::annotation::{Annotation, LinkAnnotation, Target};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{Metadata, TextDirection};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use parley::Alignment;

use crate::Direction;
use crate::compose::Document;
use crate::prose::{Block, Item, Span, Table};
use text::{Embedded, Ink, Laid, Look, Setter};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 56.0;
const BODY: f32 = PAGE.0 - 2.0 * MARGIN;
const BOTTOM: f32 = PAGE.1 - MARGIN - 14.0;
/// How far each level stands in.
const INDENT: f32 = 22.0;
const GAP: f32 = 6.0;
const CELL: f32 = 4.0;

/// Writes a document as PDF.
pub(crate) fn write(document: &Document) -> Result<Vec<u8>, Failed> {
    let mut flow = Flow::new(document.direction());
    for block in &document.blocks {
        let direction = block.direction().unwrap_or(document.direction());
        flow.block(block, Place { direction, depth: 0, quoted: false }, None);
    }
    flow.finish(document)
}

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    direction: Direction,
    depth: u8,
    quoted: bool,
}

impl Place {
    fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_add(1), ..self }
    }

    fn indent(self) -> f32 {
        // However deep it stands, there is room for some words.
        f32::from(self.depth.min(10)) * INDENT
    }

    fn width(self) -> f32 {
        BODY - self.indent()
    }

    /// The left edge of its text: what stands in from the right begins at the margin.
    fn left(self) -> f32 {
        if self.direction.is_right_to_left() { MARGIN } else { MARGIN + self.indent() }
    }
}

/// Something on a page.
enum Mark {
    /// A line of a laid text, by its top left corner.
    Line { laid: usize, line: usize, x: f32, y: f32 },
    /// A filled rectangle.
    Area { rect: Rect, grey: u8 },
}

/// What the bookmarks show.
struct Heading {
    level: u8,
    text: String,
    page: usize,
    y: f32,
}

struct Flow {
    setter: Setter,
    laid: Vec<Laid>,
    links: Vec<String>,
    pages: Vec<Vec<Mark>>,
    headings: Vec<Heading>,
    y: f32,
    direction: Direction,
}

impl Flow {
    fn new(direction: Direction) -> Self {
        Self {
            setter: Setter::new(),
            laid: Vec::new(),
            links: Vec::new(),
            pages: vec![Vec::new()],
            headings: Vec::new(),
            y: MARGIN,
            direction,
        }
    }

    fn block(&mut self, block: &Block, place: Place, marker: Option<&str>) {
        match block {
            Block::Heading { level, spans } => self.heading(*level, spans, place, marker),
            Block::Paragraph(spans) => {
                let look = look(10.0, place);
                self.paragraph(spans, look, place, marker);
                self.y += GAP;
            }
            Block::Code { text, .. } => {
                let place = Place { direction: Direction::LeftToRight, ..place };
                let look = Look { mono: true, ..look(8.5, place) };
                self.shaded(&[Span::plain(text.clone())], look, place);
                self.y += GAP;
            }
            Block::Quote(blocks) => {
                let place = Place { quoted: true, ..place.deeper() };
                blocks.iter().for_each(|block| self.block(block, place, None));
            }
            Block::List { start, items } => {
                for (index, item) in (0_u64..).zip(items) {
                    let marker = match start {
                        Some(start) => format!("{}.", start.saturating_add(index)),
                        None => "•".to_owned(),
                    };
                    self.item(item, place.deeper(), &marker);
                }
            }
            Block::Table(table) => self.table(table, place),
            Block::Rule => {
                self.room(GAP * 2.0);
                self.area(MARGIN, self.y + GAP, BODY, 0.7, 0xB0);
                self.y += GAP * 2.0;
            }
        }
    }

    fn item(&mut self, item: &Item, place: Place, marker: &str) {
        let marker = match item.checked {
            Some(true) => "☑",
            Some(false) => "☐",
            None => marker,
        };
        let mut blocks = item.blocks.iter();
        match blocks.next() {
            Some(first @ (Block::Paragraph(_) | Block::Heading { .. })) => self.block(first, place, Some(marker)),
            first => {
                self.paragraph(&[Span::plain(" ")], look(10.0, place), place, Some(marker));
                first.into_iter().for_each(|block| self.block(block, place, None));
            }
        }
        blocks.for_each(|block| self.block(block, place, None));
    }

    fn heading(&mut self, level: u8, spans: &[Span], place: Place, marker: Option<&str>) {
        let size = match level {
            1 => 20.0,
            2 => 15.0,
            3 => 12.5,
            4 => 11.0,
            _ => 10.0,
        };
        // Not alone at the end of a page.
        self.room(size * 2.0 + 40.0);
        self.y += size * 0.5;
        let page = self.pages.len().saturating_sub(1);
        let text: String = spans.iter().map(|span| span.text.as_str()).collect();
        self.headings.push(Heading { level, text, page, y: self.y });
        self.paragraph(spans, Look { strong: true, ..look(size, place) }, place, marker);
        self.y += GAP * 0.7;
    }

    fn lay(&mut self, spans: &[Span], look: Look, width: f32) -> usize {
        let laid = self.setter.lay(spans, look, width, &mut self.links);
        self.laid.push(laid);
        self.laid.len().saturating_sub(1)
    }

    fn paragraph(&mut self, spans: &[Span], look: Look, place: Place, marker: Option<&str>) {
        let laid = self.lay(spans, look, place.width());
        let mut marker = marker.map(|marker| self.marker(marker, look, place));
        for (line, height) in self.heights(laid).into_iter().enumerate() {
            self.room(height);
            let y = self.y;
            if let Some((laid, x)) = marker.take() {
                self.put(Mark::Line { laid, line: 0, x, y });
            }
            self.put(Mark::Line { laid, line, x: place.left(), y });
            self.y += height;
        }
    }

    /// The mark of an item stands in the space before it, next to the text.
    fn marker(&mut self, marker: &str, own: Look, place: Place) -> (usize, f32) {
        let room = INDENT + 8.0;
        let (alignment, x) = match place.direction {
            Direction::LeftToRight => (Alignment::Right, place.left() - room - 5.0),
            Direction::RightToLeft => (Alignment::Left, MARGIN + place.width() + 5.0),
        };
        (self.lay(&[Span::plain(marker)], Look { alignment, strong: false, ..own }, room), x)
    }

    fn shaded(&mut self, spans: &[Span], look: Look, place: Place) {
        let laid = self.lay(spans, look, place.width() - 2.0 * CELL);
        for (line, height) in self.heights(laid).into_iter().enumerate() {
            self.room(height);
            let y = self.y;
            self.area(place.left(), y, place.width(), height, 0xF3);
            self.put(Mark::Line { laid, line, x: place.left() + CELL, y });
            self.y += height;
        }
    }

    fn table(&mut self, table: &Table, place: Place) {
        let columns = table.rows.iter().map(Vec::len).chain([table.head.len()]).max().unwrap_or(0).clamp(1, 24);
        let count = u8::try_from(columns).unwrap_or(u8::MAX);
        let width = place.width() / f32::from(count);
        let head = (!table.head.is_empty()).then_some((&table.head, true));
        for (row, is_head) in head.into_iter().chain(table.rows.iter().map(|row| (row, false))) {
            self.row(row, is_head, columns, width, place);
        }
        self.y += GAP;
    }

    fn row(&mut self, row: &[Vec<Span>], is_head: bool, columns: usize, width: f32, place: Place) {
        let look = Look { strong: is_head, ..look(9.0, place) };
        let cells: Vec<usize> = row.iter().take(columns).map(|cell| self.lay(cell, look, width - 2.0 * CELL)).collect();
        let tallest = cells.iter().filter_map(|cell| self.laid.get(*cell)).map(Laid::height).fold(10.0, f32::max);
        let height = tallest + 2.0 * CELL;
        if height > BOTTOM - MARGIN {
            // What does not fit a page stands as it would outside of a table.
            row.iter().for_each(|cell| self.paragraph(cell, look, place, None));
            return;
        }
        self.room(height);
        let y = self.y;
        for column in 0..columns {
            let from_left = if place.direction.is_right_to_left() {
                columns.saturating_sub(column).saturating_sub(1)
            } else {
                column
            };
            let x = place.left() + width * f32::from(u8::try_from(from_left).unwrap_or(u8::MAX));
            if is_head {
                self.area(x, y, width, height, 0xEE);
            }
            for (x, y, width, height) in
                [(x, y, width, 0.5), (x, y + height, width, 0.5), (x, y, 0.5, height), (x + width, y, 0.5, height)]
            {
                self.area(x, y, width, height, 0xA6);
            }
            let Some(laid) = cells.get(column).copied() else { continue };
            let mut top = y + CELL;
            for (line, height) in self.heights(laid).into_iter().enumerate() {
                self.put(Mark::Line { laid, line, x: x + CELL, y: top });
                top += height;
            }
        }
        self.y += height;
    }

    fn heights(&self, laid: usize) -> Vec<f32> {
        self.laid.get(laid).map(Laid::lines).unwrap_or_default()
    }

    /// Begins a page when so much has no room on this one.
    fn room(&mut self, height: f32) {
        if self.y + height > BOTTOM && self.y > MARGIN {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
    }

    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn area(&mut self, x: f32, y: f32, width: f32, height: f32, grey: u8) {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.put(Mark::Area { rect, grey });
        }
    }

    fn finish(mut self, document: &Document) -> Result<Vec<u8>, Failed> {
        let (language, way) = match document.language {
            domain::Language::English => ("en", TextDirection::LeftToRight),
            domain::Language::Arabic => ("ar", TextDirection::RightToLeft),
        };
        let mut pdf = Pdf::new();
        let metadata = Metadata::new().title(document.title.clone()).creator("HishamOS".to_owned());
        pdf.set_metadata(metadata.language(language.to_owned()).text_direction(way));
        let total = self.pages.len();
        let mut kept = Embedded::default();
        for (index, marks) in std::mem::take(&mut self.pages).into_iter().enumerate() {
            let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or("a page of no size")?;
            let number = self.page_number(index.saturating_add(1), total);
            let mut page = pdf.start_page_with(settings);
            let mut surface = page.surface();
            let mut leads = Vec::new();
            for mark in marks.iter().chain([&number]) {
                match mark {
                    Mark::Line { laid, line, x, y } => {
                        let laid = self.laid.get(*laid).ok_or("a line of no text")?;
                        leads.extend(laid.draw(*line, *x, *y, &mut surface, &mut kept));
                    }
                    Mark::Area { rect, grey } => {
                        let colour = krilla::color::luma::Color::new(*grey);
                        surface.set_fill(Some(Fill { paint: colour.into(), ..Ink::Plain.fill() }));
                        let mut path = PathBuilder::new();
                        path.push_rect(*rect);
                        path.finish().iter().for_each(|path| surface.draw_path(path));
                    }
                }
            }
            surface.finish();
            for lead in leads {
                let Some(address) = self.links.get(lead.link) else { continue };
                let target = Target::Action(Action::Link(LinkAction::new(address.clone())));
                page.add_annotation(Annotation::new_link(LinkAnnotation::new(lead.rect, target), None));
            }
            page.finish();
        }
        pdf.set_outline(outline(&self.headings));
        pdf.finish().map_err(|error| format!("the PDF could not be finished: {error:?}").into())
    }

    fn page_number(&mut self, number: usize, total: usize) -> Mark {
        let place = Place { direction: self.direction, depth: 0, quoted: true };
        let look = Look { alignment: Alignment::Center, ..look(8.0, place) };
        let laid = self.lay(&[Span::plain(format!("{number} / {total}"))], look, BODY);
        Mark::Line { laid, line: 0, x: MARGIN, y: PAGE.1 - MARGIN + 8.0 }
    }
}

fn look(size: f32, place: Place) -> Look {
    Look {
        size,
        strong: false,
        mono: false,
        soft: place.quoted,
        direction: place.direction,
        alignment: Alignment::Start,
    }
}

/// Bookmarks for the headings of the document itself: its parts, and the steps below them.
fn outline(headings: &[Heading]) -> Outline {
    let mut outline = Outline::new();
    let mut parts: Vec<OutlineNode> = Vec::new();
    for heading in headings.iter().filter(|heading| (2..=3).contains(&heading.level)) {
        let place = XyzDestination::new(heading.page, Point::from_xy(0.0, heading.y));
        let node = OutlineNode::new(heading.text.clone(), place);
        match (heading.level, parts.last_mut()) {
            (3, Some(part)) => part.push_child(node),
            _ => parts.push(node),
        }
    }
    parts.into_iter().for_each(|part| outline.push_child(part));
    outline
}
