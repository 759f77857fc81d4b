//! Text as it is shaped, broken into lines and drawn.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use krilla::color::rgb;
use krilla::geom::{Point, Rect};
use krilla::num::NormalizedF32;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use parley::fontique::{Blob, Collection, CollectionOptions, SourceCache};
use parley::{
    Alignment, BaseDirection, FontContext, FontFamily, FontFamilyName, FontWeight, Layout, LayoutContext, LineHeight,
    OverflowWrap, StyleProperty,
};

use crate::Direction;
use crate::prose::Span;

/// The fonts of every document: they have Latin, Greek, Cyrillic, Arabic and Hebrew letters, and come along, so that a
/// document looks the same wherever it was made.
const FONTS: [&[u8]; 3] = [
    include_bytes!("../../fonts/DejaVuSans.ttf"),
    include_bytes!("../../fonts/DejaVuSans-Bold.ttf"),
    include_bytes!("../../fonts/DejaVuSansMono.ttf"),
];
const SANS: &str = "DejaVu Sans";
const MONO: &str = "DejaVu Sans Mono";

/// What text is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Ink {
    #[default]
    Plain,
    Soft,
    /// It leads somewhere: to so manieth address of the document.
    Link(usize),
}

impl Ink {
    pub(super) fn fill(self) -> Fill {
        let colour = match self {
            Self::Plain => rgb::Color::new(0x1B, 0x1B, 0x1B),
            Self::Soft => rgb::Color::new(0x55, 0x55, 0x55),
            Self::Link(_) => rgb::Color::new(0x05, 0x63, 0xC1),
        };
        Fill { paint: colour.into(), opacity: NormalizedF32::ONE, rule: Default::default() }
    }
}

/// How a piece of text looks as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// In points.
    pub(super) size: f32,
    pub(super) strong: bool,
    pub(super) mono: bool,
    pub(super) soft: bool,
    pub(super) direction: Direction,
    pub(super) alignment: Alignment,
}

/// Text that is broken into lines.
pub(super) struct Laid {
    text: String,
    layout: Layout<Ink>,
}

/// What a drawn line leaves to its page: where something leads.
pub(super) struct Leads {
    pub(super) rect: Rect,
    pub(super) link: usize,
}

/// Shapes text; keeps the fonts.
pub(super) struct Setter {
    fonts: FontContext,
    layouts: LayoutContext<Ink>,
}

impl Setter {
    pub(super) fn new() -> Self {
        let options = CollectionOptions { shared: false, system_fonts: false };
        let mut collection = Collection::new(options);
        for font in FONTS {
            collection.register_fonts(Blob::new(Arc::new(font)), None);
        }
        let fonts = FontContext { collection, source_cache: SourceCache::default() };
        Self { fonts, layouts: LayoutContext::new() }
    }

    /// Lays spans out in lines no longer than `width`; `links` gets the addresses that they lead to.
    pub(super) fn lay(&mut self, spans: &[Span], look: Look, width: f32, links: &mut Vec<String>) -> Laid {
        let mut text = String::new();
        let mut marked: Vec<(Range<usize>, &Span)> = Vec::with_capacity(spans.len());
        for span in spans {
            let start = text.len();
            // What has no picture would be drawn as an empty box.
            text.extend(span.text.chars().filter(|letter| *letter == '\n' || !letter.is_control()));
            marked.push((start..text.len(), span));
        }
        let mut builder = self.layouts.ranged_builder(&mut self.fonts, &text, 1.0, false);
        builder.set_base_direction(match look.direction {
            Direction::LeftToRight => BaseDirection::Ltr,
            Direction::RightToLeft => BaseDirection::Rtl,
        });
        builder.push_default(StyleProperty::FontFamily(family(look.mono)));
        builder.push_default(StyleProperty::FontSize(look.size));
        builder.push_default(StyleProperty::LineHeight(LineHeight::FontSizeRelative(1.45)));
        builder.push_default(StyleProperty::Brush(if look.soft { Ink::Soft } else { Ink::Plain }));
        builder.push_default(StyleProperty::OverflowWrap(OverflowWrap::Anywhere));
        if look.strong {
            builder.push_default(StyleProperty::FontWeight(FontWeight::BOLD));
        }
        for (range, span) in marked.into_iter().filter(|(range, _)| !range.is_empty()) {
            if span.style.strong {
                builder.push(StyleProperty::FontWeight(FontWeight::BOLD), range.clone());
            }
            if span.style.code {
                builder.push(StyleProperty::FontFamily(family(true)), range.clone());
            }
            if let Some(target) = span.target() {
                builder.push(StyleProperty::Brush(Ink::Link(links.len())), range);
                links.push(target.to_owned());
            }
        }
        let mut layout = builder.build(&text);
        layout.break_all_lines(Some(width));
        layout.align(look.alignment, Default::default());
        Laid { text, layout }
    }
}

fn family(mono: bool) -> FontFamily<'static> {
    let names: &[FontFamilyName<'static>] = if mono {
        &[FontFamilyName::Named(Cow::Borrowed(MONO)), FontFamilyName::Named(Cow::Borrowed(SANS))]
    } else {
        &[FontFamilyName::Named(Cow::Borrowed(SANS)), FontFamilyName::Named(Cow::Borrowed(MONO))]
    };
    FontFamily::List(Cow::Owned(names.to_vec()))
}

impl Laid {
    pub(super) fn height(&self) -> f32 {
        self.layout.height()
    }

    /// The heights of its lines.
    pub(super) fn lines(&self) -> Vec<f32> {
        self.layout.lines().map(|line| line.metrics().line_height).collect()
    }

    /// Draws one line with its top left corner at `x` and `y`.
    pub(super) fn draw(
        &self,
        index: usize,
        x: f32,
        y: f32,
        surface: &mut Surface<'_>,
        kept: &mut Embedded,
    ) -> Vec<Leads> {
        let mut leads = Vec::new();
        let Some(line) = self.layout.get(index) else { return leads };
        let metrics = line.metrics();
        let top = metrics.block_min_coord;
        let baseline = y + metrics.baseline - top;
        let mut pen = x + metrics.offset;
        for run in line.runs() {
            let Some(font) = kept.font(run.font()) else { continue };
            let size = run.font_size();
            let mut pending: Vec<KrillaGlyph> = Vec::new();
            let (mut from, mut style) = (pen, None);
            for cluster in run.visual_clusters() {
                if cluster.is_ligature_continuation() {
                    if let Some(glyph) = pending.last_mut() {
                        glyph.text_range.end = glyph.text_range.end.max(cluster.text_range().end);
                        glyph.text_range.start = glyph.text_range.start.min(cluster.text_range().start);
                    }
                    continue;
                }
                if style.is_some_and(|style| style != cluster.style_index()) {
                    let ink = self.ink(style);
                    leads.extend(self.flush(
                        &mut pending,
                        ink,
                        (from, pen),
                        (y, baseline, metrics.line_height),
                        &font,
                        size,
                        surface,
                    ));
                    from = pen;
                }
                style = Some(cluster.style_index());
                for glyph in cluster.glyphs() {
                    pending.push(KrillaGlyph::new(
                        GlyphId::new(glyph.id),
                        glyph.advance / size,
                        glyph.x / size,
                        glyph.y / size,
                        0.0,
                        cluster.text_range(),
                        None,
                    ));
                    pen += glyph.advance;
                }
            }
            let ink = self.ink(style);
            leads.extend(self.flush(
                &mut pending,
                ink,
                (from, pen),
                (y, baseline, metrics.line_height),
                &font,
                size,
                surface,
            ));
        }
        leads
    }

    fn ink(&self, style: Option<u16>) -> Ink {
        let style = style.and_then(|style| self.layout.styles().get(usize::from(style)));
        style.map(|style| style.brush).unwrap_or_default()
    }

    #[expect(clippy::too_many_arguments, reason = "one place on the page, and what is drawn there")]
    fn flush(
        &self,
        pending: &mut Vec<KrillaGlyph>,
        ink: Ink,
        (from, to): (f32, f32),
        (top, baseline, height): (f32, f32, f32),
        font: &Font,
        size: f32,
        surface: &mut Surface<'_>,
    ) -> Option<Leads> {
        if pending.is_empty() {
            return None;
        }
        surface.set_fill(Some(ink.fill()));
        surface.draw_glyphs(Point::from_xy(from, baseline), pending, font.clone(), &self.text, size, false);
        pending.clear();
        let Ink::Link(link) = ink else { return None };
        Some(Leads { rect: Rect::from_xywh(from, top, to - from, height)?, link })
    }
}

/// The fonts as the document embeds them.
#[derive(Default)]
pub(super) struct Embedded(HashMap<u64, Option<Font>>);

impl Embedded {
    fn font(&mut self, font: &parley::FontData) -> Option<Font> {
        let (data, id) = font.data.clone().into_raw_parts();
        self.0.entry(id).or_insert_with(|| Font::new(data.into(), font.index)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pictures of a text from left to right, each with where its letters begin.
    fn drawn(text: &str, direction: Direction) -> Vec<(u32, usize)> {
        let look = Look { size: 10.0, strong: false, mono: false, soft: false, direction, alignment: Alignment::Start };
        let laid = Setter::new().lay(&[Span::plain(text)], look, 400.0, &mut vec![]);
        let mut drawn = Vec::new();
        for line in laid.layout.lines() {
            for run in line.runs() {
                for cluster in run.visual_clusters() {
                    drawn.extend(cluster.glyphs().map(|glyph| (glyph.id, cluster.text_range().start)));
                }
            }
        }
        drawn
    }

    #[test]
    fn arabic_letters_join_and_go_from_right_to_left() {
        let word = drawn("محمد", Direction::RightToLeft);
        assert_eq!(word.len(), 4);
        assert!(word.iter().all(|(picture, _)| *picture != 0), "every letter has a picture: {word:?}");
        assert!(word.is_sorted_by(|one, next| one.1 > next.1), "the last letter stands leftmost: {word:?}");
        let alone = drawn("م", Direction::RightToLeft);
        assert!(
            word.iter().all(|(picture, _)| Some(*picture) != alone.first().map(|(picture, _)| *picture)),
            "{word:?}"
        );
    }

    #[test]
    fn both_directions_mix() {
        let text = "نشر Kubernetes غدًا";
        let drawn = drawn(text, Direction::RightToLeft);
        let at = |letter: char| {
            drawn.iter().position(|(_, from)| text.get(*from..).is_some_and(|rest| rest.starts_with(letter)))
        };
        // The Arabic that comes first stands on the right of the Latin, which goes its own way.
        assert!(at('ن') > at('K') && at('K') < at('b') && at('غ') < at('K'), "{drawn:?}");
    }
}
