//! A document as one HTML page: no script, nothing fetched, and every text escaped.

use pulldown_cmark::Alignment;

use crate::compose::Document;
use crate::prose::{Block, Item, Span, Table};

/// Readable on screens and on paper, in both directions.
const STYLE: &str = "body{font:16px/1.6 system-ui,'Segoe UI','Noto Sans','Noto Sans Arabic',Tahoma,sans-serif;\
color:#1b1b1b;background:#fff;max-width:48rem;margin:2rem auto;padding:0 1rem}h1,h2,h3,h4,h5,h6{line-height:1.25}\
h2{border-bottom:1px solid #d0d0d0;padding-bottom:.2rem;margin-top:2.5rem}\
pre,code{font-family:ui-monospace,Consolas,'DejaVu Sans Mono',monospace;font-size:.9em;direction:ltr;\
unicode-bidi:isolate;background:#f3f3f3}pre{padding:.8rem;overflow:auto;text-align:left;white-space:pre-wrap}\
blockquote{margin-inline:0;padding-inline-start:1rem;border-inline-start:4px solid #b8b8b8}\
table{border-collapse:collapse}th,td{border:1px solid #c8c8c8;padding:.3rem .6rem;text-align:start;vertical-align:top}\
@media print{body{margin:0;max-width:none}pre{overflow:visible}}";

/// Writes a document as HTML.
pub(crate) fn write(document: &Document) -> String {
    let mut page = Page { text: String::new() };
    let language = match document.language {
        domain::Language::English => "en",
        domain::Language::Arabic => "ar",
    };
    let direction = document.direction().name();
    page.raw(&format!("<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\">\n<head>\n"));
    page.raw("<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    // Nothing is fetched and nothing runs, wherever the file is opened.
    page.raw(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n",
    );
    page.raw("<title>");
    page.escaped(&document.title);
    page.raw(&format!("</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"));
    for block in &document.blocks {
        let own = block.direction().filter(|own| *own != document.direction());
        page.block(block, own.map_or(String::new(), |own| format!(" dir=\"{}\"", own.name())).as_str());
    }
    page.raw("</body>\n</html>\n");
    page.text
}

struct Page {
    text: String,
}

impl Page {
    fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                letter => self.text.push(letter),
            }
        }
    }

    fn block(&mut self, block: &Block, attributes: &str) {
        match block {
            Block::Heading { level, spans } => {
                self.raw(&format!("<h{level}{attributes}>"));
                self.spans(spans);
                self.raw(&format!("</h{level}>\n"));
            }
            Block::Paragraph(spans) => {
                self.raw(&format!("<p{attributes}>"));
                self.spans(spans);
                self.raw("</p>\n");
            }
            Block::Code { text, .. } => {
                self.raw(&format!("<pre{attributes}><code>"));
                self.escaped(text);
                self.raw("</code></pre>\n");
            }
            Block::Quote(blocks) => {
                self.raw(&format!("<blockquote{attributes}>\n"));
                blocks.iter().for_each(|block| self.block(block, ""));
                self.raw("</blockquote>\n");
            }
            Block::List { start, items } => {
                let tag = if start.is_some() { "ol" } else { "ul" };
                let first = start.filter(|start| *start != 1).map_or(String::new(), |n| format!(" start=\"{n}\""));
                self.raw(&format!("<{tag}{first}{attributes}>\n"));
                items.iter().for_each(|item| self.item(item));
                self.raw(&format!("</{tag}>\n"));
            }
            Block::Table(table) => self.table(table, attributes),
            Block::Rule => self.raw("<hr/>\n"),
        }
    }

    fn item(&mut self, item: &Item) {
        self.raw("<li>");
        if let Some(done) = item.checked {
            self.raw(if done { "☑ " } else { "☐ " });
        }
        match &item.blocks[..] {
            [Block::Paragraph(spans), rest @ ..] => {
                self.spans(spans);
                rest.iter().for_each(|block| self.block(block, ""));
            }
            blocks => blocks.iter().for_each(|block| self.block(block, "")),
        }
        self.raw("</li>\n");
    }

    fn table(&mut self, table: &Table, attributes: &str) {
        self.raw(&format!("<table{attributes}>\n<thead>\n"));
        self.row("th", &table.head, &table.alignments);
        self.raw("</thead>\n<tbody>\n");
        table.rows.iter().for_each(|row| self.row("td", row, &table.alignments));
        self.raw("</tbody>\n</table>\n");
    }

    fn row(&mut self, tag: &str, cells: &[Vec<Span>], alignments: &[Alignment]) {
        self.raw("<tr>");
        for (index, cell) in cells.iter().enumerate() {
            let alignment = match alignments.get(index) {
                Some(Alignment::Left) => " style=\"text-align:left\"",
                Some(Alignment::Center) => " style=\"text-align:center\"",
                Some(Alignment::Right) => " style=\"text-align:right\"",
                Some(Alignment::None) | None => "",
            };
            self.raw(&format!("<{tag}{alignment}>"));
            self.spans(cell);
            self.raw(&format!("</{tag}>"));
        }
        self.raw("</tr>\n");
    }

    fn spans(&mut self, spans: &[Span]) {
        for span in spans {
            let style = span.style;
            let tags = [(style.strong, "strong"), (style.emphasis, "em"), (style.struck, "del"), (style.code, "code")];
            let tags: Vec<&str> = tags.into_iter().filter(|(on, _)| *on).map(|(_, tag)| tag).collect();
            let target = span.target();
            if let Some(target) = target {
                self.raw("<a rel=\"noopener noreferrer nofollow\" href=\"");
                self.escaped(target);
                self.raw("\">");
            }
            tags.iter().for_each(|tag| self.raw(&format!("<{tag}>")));
            for (index, line) in span.text.split('\n').enumerate() {
                if index > 0 {
                    self.raw("<br/>");
                }
                self.escaped(line);
            }
            tags.iter().rev().for_each(|tag| self.raw(&format!("</{tag}>")));
            if target.is_some() {
                self.raw("</a>");
            }
        }
    }
}
