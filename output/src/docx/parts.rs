//! What stands around the text of a Word document.

use super::xml::Xml;
use super::{Failed, INDENT, LEVELS, List, MAIN, RELATIONSHIPS};
use crate::compose::Document;
use domain::Language;

const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml";
const CORE: &str = "application/vnd.openxmlformats-package.core-properties+xml";

pub(super) fn content_types() -> Result<Vec<u8>, Failed> {
    let mut xml = Xml::new()?;
    xml.open("Types", &[("xmlns", &format!("{PACKAGE}/content-types"))])?;
    let relationships = "application/vnd.openxmlformats-package.relationships+xml";
    xml.empty("Default", &[("Extension", "rels"), ("ContentType", relationships)])?;
    xml.empty("Default", &[("Extension", "xml"), ("ContentType", "application/xml")])?;
    for (part, kind) in [("document", "document.main"), ("styles", "styles"), ("numbering", "numbering")] {
        let (name, content) = (format!("/word/{part}.xml"), format!("{WORD}.{kind}+xml"));
        xml.empty("Override", &[("PartName", &name), ("ContentType", &content)])?;
    }
    xml.empty("Override", &[("PartName", "/docProps/core.xml"), ("ContentType", CORE)])?;
    xml.close("Types")?;
    Ok(xml.finish())
}

pub(super) fn package() -> Result<Vec<u8>, Failed> {
    let mut xml = Xml::new()?;
    xml.open("Relationships", &[("xmlns", &format!("{PACKAGE}/relationships"))])?;
    let main = format!("{RELATIONSHIPS}/officeDocument");
    xml.empty("Relationship", &[("Id", "rId1"), ("Type", &main), ("Target", "word/document.xml")])?;
    let core = format!("{PACKAGE}/relationships/metadata/core-properties");
    xml.empty("Relationship", &[("Id", "rId2"), ("Type", &core), ("Target", "docProps/core.xml")])?;
    xml.close("Relationships")?;
    Ok(xml.finish())
}

pub(super) fn properties(document: &Document) -> Result<Vec<u8>, Failed> {
    let mut xml = Xml::new()?;
    let core = format!("{PACKAGE}/metadata/core-properties");
    xml.open("cp:coreProperties", &[("xmlns:cp", &core), ("xmlns:dc", "http://purl.org/dc/elements/1.1/")])?;
    xml.text("dc:title", &[], &document.title)?;
    xml.text("dc:creator", &[], "HishamOS")?;
    xml.text("dc:language", &[], tag(document.language))?;
    xml.close("cp:coreProperties")?;
    Ok(xml.finish())
}

const fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Arabic => "ar",
    }
}

/// The id of a link by its number, from 1; the first ids belong to styles and numbering.
pub(super) fn link_id(number: usize) -> String {
    format!("rId{}", number.saturating_add(2))
}

pub(super) fn relationships(links: &[String]) -> Result<Vec<u8>, Failed> {
    let mut xml = Xml::new()?;
    xml.open("Relationships", &[("xmlns", &format!("{PACKAGE}/relationships"))])?;
    for (id, part) in [("rId1", "styles"), ("rId2", "numbering")] {
        let (kind, target) = (format!("{RELATIONSHIPS}/{part}"), format!("{part}.xml"));
        xml.empty("Relationship", &[("Id", id), ("Type", &kind), ("Target", &target)])?;
    }
    let kind = format!("{RELATIONSHIPS}/hyperlink");
    for (index, link) in links.iter().enumerate() {
        let id = link_id(index.saturating_add(1));
        let outside = [("Id", id.as_str()), ("Type", &kind), ("Target", link), ("TargetMode", "External")];
        xml.empty("Relationship", &outside)?;
    }
    xml.close("Relationships")?;
    Ok(xml.finish())
}

pub(super) fn styles(document: &Document) -> Result<Vec<u8>, Failed> {
    let mut xml = Xml::new()?;
    xml.open("w:styles", &[("xmlns:w", MAIN)])?;
    xml.open("w:docDefaults", &[])?;
    xml.open("w:rPrDefault", &[])?;
    xml.open("w:rPr", &[])?;
    // The last is for Arabic, and every office program has it or stands in for it.
    xml.empty("w:rFonts", &[("w:ascii", "Calibri"), ("w:hAnsi", "Calibri"), ("w:cs", "Arial")])?;
    xml.empty("w:sz", &[("w:val", "22")])?;
    xml.empty("w:szCs", &[("w:val", "22")])?;
    xml.empty("w:lang", &[("w:val", "en-GB"), ("w:bidi", "ar-SA")])?;
    xml.close("w:rPr")?;
    xml.close("w:rPrDefault")?;
    xml.open("w:pPrDefault", &[])?;
    xml.open("w:pPr", &[])?;
    xml.empty("w:spacing", &[("w:after", "120"), ("w:line", "276"), ("w:lineRule", "auto")])?;
    xml.close("w:pPr")?;
    xml.close("w:pPrDefault")?;
    xml.close("w:docDefaults")?;
    let normal = [("w:type", "paragraph"), ("w:default", "1"), ("w:styleId", "Normal")];
    xml.open("w:style", &normal)?;
    xml.empty("w:name", &[("w:val", "Normal")])?;
    if document.direction().is_right_to_left() {
        xml.open("w:pPr", &[])?;
        xml.empty("w:bidi", &[])?;
        xml.close("w:pPr")?;
    }
    xml.close("w:style")?;
    for (level, size) in [(1_usize, "36"), (2, "30"), (3, "26"), (4, "24"), (5, "22"), (6, "22")] {
        let outline = level.saturating_sub(1).to_string();
        paragraph_style(&mut xml, &format!("Heading{level}"), &format!("heading {level}"), |xml| {
            xml.open("w:pPr", &[])?;
            xml.empty("w:keepNext", &[])?;
            left_to_right(xml, document)?;
            xml.empty("w:spacing", &[("w:before", "240"), ("w:after", "80")])?;
            xml.empty("w:outlineLvl", &[("w:val", &outline)])?;
            xml.close("w:pPr")?;
            xml.open("w:rPr", &[])?;
            ["w:b", "w:bCs"].iter().try_for_each(|name| xml.empty(name, &[]))?;
            ["w:sz", "w:szCs"].iter().try_for_each(|name| xml.empty(name, &[("w:val", size)]))?;
            xml.close("w:rPr")
        })?;
    }
    paragraph_style(&mut xml, "Quote", "Quote", |xml| {
        xml.open("w:pPr", &[])?;
        left_to_right(xml, document)?;
        xml.close("w:pPr")?;
        xml.open("w:rPr", &[])?;
        xml.empty("w:color", &[("w:val", "404040")])?;
        xml.close("w:rPr")
    })?;
    paragraph_style(&mut xml, "TableText", "Table Text", |xml| {
        xml.open("w:pPr", &[])?;
        left_to_right(xml, document)?;
        xml.empty("w:spacing", &[("w:before", "20"), ("w:after", "20"), ("w:line", "240"), ("w:lineRule", "auto")])?;
        xml.close("w:pPr")
    })?;
    paragraph_style(&mut xml, "Code", "Code", |xml| {
        xml.open("w:pPr", &[])?;
        xml.empty("w:shd", &[("w:val", "clear"), ("w:color", "auto"), ("w:fill", "F3F3F3")])?;
        left_to_right(xml, document)?;
        xml.empty("w:spacing", &[("w:line", "240"), ("w:lineRule", "auto")])?;
        xml.close("w:pPr")?;
        fixed_width(xml)
    })?;
    for (id, name) in [("Hyperlink", "Hyperlink"), ("CodeText", "Code Text")] {
        xml.open("w:style", &[("w:type", "character"), ("w:styleId", id)])?;
        xml.empty("w:name", &[("w:val", name)])?;
        if id == "Hyperlink" {
            xml.open("w:rPr", &[])?;
            xml.empty("w:color", &[("w:val", "0563C1")])?;
            xml.empty("w:u", &[("w:val", "single")])?;
            xml.close("w:rPr")?;
        } else {
            fixed_width(&mut xml)?;
        }
        xml.close("w:style")?;
    }
    table_style(&mut xml)?;
    xml.close("w:styles")?;
    Ok(xml.finish())
}

/// Where the whole document goes from right to left, only paragraphs that say so do.
fn left_to_right(xml: &mut Xml, document: &Document) -> Result<(), Failed> {
    if document.direction().is_right_to_left() { xml.empty("w:bidi", &[("w:val", "0")]) } else { Ok(()) }
}

fn fixed_width(xml: &mut Xml) -> Result<(), Failed> {
    xml.open("w:rPr", &[])?;
    xml.empty("w:rFonts", &[("w:ascii", "Consolas"), ("w:hAnsi", "Consolas"), ("w:cs", "Courier New")])?;
    ["w:sz", "w:szCs"].iter().try_for_each(|name| xml.empty(name, &[("w:val", "20")]))?;
    xml.close("w:rPr")
}

fn paragraph_style(
    xml: &mut Xml,
    id: &str,
    name: &str,
    content: impl FnOnce(&mut Xml) -> Result<(), Failed>,
) -> Result<(), Failed> {
    xml.open("w:style", &[("w:type", "paragraph"), ("w:styleId", id)])?;
    xml.empty("w:name", &[("w:val", name)])?;
    xml.empty("w:basedOn", &[("w:val", "Normal")])?;
    xml.empty("w:next", &[("w:val", "Normal")])?;
    xml.empty("w:qFormat", &[])?;
    content(xml)?;
    xml.close("w:style")
}

fn table_style(xml: &mut Xml) -> Result<(), Failed> {
    xml.open("w:style", &[("w:type", "table"), ("w:styleId", "TableGrid")])?;
    xml.empty("w:name", &[("w:val", "Table Grid")])?;
    xml.open("w:tblPr", &[])?;
    xml.open("w:tblBorders", &[])?;
    for side in ["w:top", "w:left", "w:bottom", "w:right", "w:insideH", "w:insideV"] {
        xml.empty(side, &[("w:val", "single"), ("w:sz", "4"), ("w:space", "0"), ("w:color", "A6A6A6")])?;
    }
    xml.close("w:tblBorders")?;
    xml.open("w:tblCellMar", &[])?;
    for side in ["w:left", "w:right"] {
        xml.empty(side, &[("w:w", "108"), ("w:type", "dxa")])?;
    }
    xml.close("w:tblCellMar")?;
    xml.close("w:tblPr")?;
    xml.close("w:style")
}

/// Every list counts by itself, in one of two manners.
pub(super) fn numbering(lists: &[List]) -> Result<Vec<u8>, Failed> {
    let mut xml = Xml::new()?;
    xml.open("w:numbering", &[("xmlns:w", MAIN)])?;
    for (manner, numbered) in [("0", false), ("1", true)] {
        xml.open("w:abstractNum", &[("w:abstractNumId", manner)])?;
        xml.empty("w:multiLevelType", &[("w:val", "hybridMultilevel")])?;
        for level in 0..LEVELS {
            let (format, text) = if numbered {
                ("decimal", format!("%{}.", level.saturating_add(1)))
            } else {
                ("bullet", "•".to_owned())
            };
            xml.open("w:lvl", &[("w:ilvl", &level.to_string())])?;
            xml.empty("w:start", &[("w:val", "1")])?;
            xml.empty("w:numFmt", &[("w:val", format)])?;
            xml.empty("w:lvlText", &[("w:val", &text)])?;
            xml.empty("w:lvlJc", &[("w:val", "left")])?;
            xml.open("w:pPr", &[])?;
            let indent = level.saturating_add(1).saturating_mul(INDENT).to_string();
            xml.empty("w:ind", &[("w:left", &indent), ("w:hanging", "360")])?;
            xml.close("w:pPr")?;
            xml.close("w:lvl")?;
        }
        xml.close("w:abstractNum")?;
    }
    for (index, list) in lists.iter().enumerate() {
        xml.open("w:num", &[("w:numId", &index.saturating_add(1).to_string())])?;
        let manner = if list.start.is_some() { "1" } else { "0" };
        xml.empty("w:abstractNumId", &[("w:val", manner)])?;
        if let Some(start) = list.start {
            xml.open("w:lvlOverride", &[("w:ilvl", &list.level.to_string())])?;
            xml.empty("w:startOverride", &[("w:val", &start.min(32_767).to_string())])?;
            xml.close("w:lvlOverride")?;
        }
        xml.close("w:num")?;
    }
    xml.close("w:numbering")?;
    Ok(xml.finish())
}
