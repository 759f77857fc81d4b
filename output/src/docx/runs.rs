//! Runs: text of one style that goes one way.

use super::Failed;
use super::xml::Xml;
use crate::Direction;
use crate::prose::Style;

/// Cuts a text where its way changes. Numbers behind letters from left to right go with these, as in Unicode's algorithm;
/// whatever else has no way of its own goes with its neighbours when they agree, else with the paragraph.
pub(super) fn split(text: &str, paragraph: Direction) -> Vec<(&str, Direction)> {
    let mut last = None;
    let own: Vec<(usize, Option<Direction>)> = text
        .char_indices()
        .map(|(at, letter)| {
            let strong = Direction::of(letter.encode_utf8(&mut [0; 4]));
            last = strong.or(last);
            let behind = last.filter(|last| letter.is_ascii_digit() && *last == Direction::LeftToRight);
            (at, strong.or(behind))
        })
        .collect();
    let mut ways: Vec<Direction> = Vec::with_capacity(own.len());
    let mut next_known = vec![paragraph; own.len()];
    let mut next = paragraph;
    for (slot, (_, way)) in next_known.iter_mut().zip(&own).rev() {
        next = way.unwrap_or(next);
        *slot = next;
    }
    let mut before = paragraph;
    for ((_, way), after) in own.iter().zip(&next_known) {
        let resolved = way.unwrap_or(if before == *after { before } else { paragraph });
        before = way.unwrap_or(before);
        ways.push(resolved);
    }
    let mut pieces = Vec::new();
    let (mut from, mut current) = (0, ways.first().copied().unwrap_or(paragraph));
    for ((at, _), way) in own.iter().zip(&ways) {
        if *way != current {
            pieces.push((text.get(from..*at).unwrap_or_default(), current));
            (from, current) = (*at, *way);
        }
    }
    pieces.push((text.get(from..).unwrap_or_default(), current));
    pieces.retain(|(piece, _)| !piece.is_empty());
    pieces
}

/// Writes a run.
pub(super) fn write(xml: &mut Xml, text: &str, way: Direction, style: Style, linked: bool) -> Result<(), Failed> {
    xml.open("w:r", &[])?;
    xml.open("w:rPr", &[])?;
    if linked {
        xml.empty("w:rStyle", &[("w:val", "Hyperlink")])?;
    } else if style.code {
        xml.empty("w:rStyle", &[("w:val", "CodeText")])?;
    }
    // What is said of a run counts for Latin letters; the second of each pair, for Arabic ones.
    let marks = [(style.strong, ["w:b", "w:bCs"]), (style.emphasis, ["w:i", "w:iCs"])];
    for (_, names) in marks.iter().filter(|(on, _)| *on) {
        names.iter().try_for_each(|name| xml.empty(name, &[]))?;
    }
    if style.struck {
        xml.empty("w:strike", &[])?;
    }
    if way.is_right_to_left() {
        xml.empty("w:rtl", &[])?;
    }
    xml.close("w:rPr")?;
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            xml.empty("w:br", &[])?;
        }
        for (index, piece) in line.split('\t').enumerate() {
            if index > 0 {
                xml.empty("w:tab", &[])?;
            }
            if !piece.is_empty() {
                xml.text("w:t", &[("xml:space", "preserve")], piece)?;
            }
        }
    }
    xml.close("w:r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_where_their_way_changes() {
        use Direction::{LeftToRight, RightToLeft};
        assert_eq!(
            split("نشر (Kubernetes 1.30) غدًا.", RightToLeft),
            [("نشر (", RightToLeft), ("Kubernetes 1.30", LeftToRight), (") غدًا.", RightToLeft)]
        );
        assert_eq!(split("plain, 12 %", LeftToRight), [("plain, 12 %", LeftToRight)]);
        assert_eq!(split("A and B", RightToLeft), [("A and B", LeftToRight)]);
        assert_eq!(split("", RightToLeft), []);
    }
}
