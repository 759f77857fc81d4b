//! The starter catalogue, carried by the program, so that it needs no files beside it.

macro_rules! entry {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../catalog/", $name)))
    };
}

/// Every file of the folder `catalog`; a test keeps the list complete.
pub(super) const FILES: [(&str, &str); 21] = [
    entry!("agents/analyst.yaml"),
    entry!("agents/coordinator.yaml"),
    entry!("agents/editor.yaml"),
    entry!("agents/generalist.yaml"),
    entry!("agents/reviewer.yaml"),
    entry!("agents/technical-writer.yaml"),
    entry!("agents/translator.yaml"),
    entry!("templates/compose-briefing.yaml"),
    entry!("templates/draft-email.yaml"),
    entry!("templates/draft-text.yaml"),
    entry!("templates/extract-action-items.yaml"),
    entry!("templates/find-open-questions.yaml"),
    entry!("templates/find-risks.yaml"),
    entry!("templates/improve-text.yaml"),
    entry!("templates/list-key-points.yaml"),
    entry!("templates/review-text.yaml"),
    entry!("templates/summarise-document.yaml"),
    entry!("templates/translate.yaml"),
    entry!("workflows/document-brief.yaml"),
    entry!("workflows/review-text.yaml"),
    entry!("workflows/welcome.yaml"),
];
