//! How much there is in a document, before anything looks at it in earnest.
//!
//! A fragment is written once and spread often, and so is what is spread in it: a few lines can stand for more fields
//! than anybody could count. The library counts them one by one, to find whether they are too many. Here every
//! fragment is counted once.

use std::collections::HashMap;

use async_graphql::ServerError;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// How deep selections and fragments may nest together; the library's own limit.
const DEPTH: usize = 32;

/// What a selection stands for.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    /// Its fields, counted wherever they are spread.
    fields: usize,
    /// How deep it nests.
    depth: usize,
}

/// Refuses a document with too many fields, or nested too deep.
pub(super) fn check(document: &ExecutableDocument, fields: usize) -> Result<(), ServerError> {
    let mut weighing = Weighing { document, fragments: HashMap::new() };
    let mut total = 0_usize;
    for (_, operation) in document.operations.iter() {
        total = total.saturating_add(weighing.weigh(&operation.node.selection_set.node, 0)?.fields);
    }
    if total > fields {
        return Err(ServerError::new("Query is too complex.", None));
    }
    Ok(())
}

struct Weighing<'a> {
    document: &'a ExecutableDocument,
    fragments: HashMap<&'a str, Weight>,
}

impl<'a> Weighing<'a> {
    fn weigh(&mut self, selection: &'a SelectionSet, at: usize) -> Result<Weight, ServerError> {
        if at > DEPTH {
            return Err(too_deep());
        }
        let mut total = Weight::default();
        for item in &selection.items {
            let (own, below) = match &item.node {
                Selection::Field(field) if field.node.selection_set.node.items.is_empty() => (1, None),
                Selection::Field(field) => (1, Some(self.weigh(&field.node.selection_set.node, at + 1)?)),
                Selection::InlineFragment(fragment) => {
                    (0, Some(self.weigh(&fragment.node.selection_set.node, at + 1)?))
                }
                Selection::FragmentSpread(spread) => (0, self.fragment(&spread.node.fragment_name.node, at + 1)?),
            };
            let below_fields = below.map_or(0, |below| below.fields);
            total.fields = total.fields.saturating_add(own).saturating_add(below_fields);
            total.depth = total.depth.max(below.map_or(0, |below| below.depth + 1));
        }
        Ok(total)
    }

    /// What a fragment stands for. One that spreads itself is nested too deep.
    fn fragment(&mut self, name: &'a str, at: usize) -> Result<Option<Weight>, ServerError> {
        if let Some(weight) = self.fragments.get(name) {
            return if at + weight.depth > DEPTH { Err(too_deep()) } else { Ok(Some(*weight)) };
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(None) };
        let weight = self.weigh(&fragment.node.selection_set.node, at)?;
        self.fragments.insert(name, weight);
        Ok(Some(weight))
    }
}

fn too_deep() -> ServerError {
    ServerError::new(format!("The recursion depth of the query cannot be greater than `{DEPTH}`"), None)
}
