//! The order of an answer's fields.
//!
//! The fields of an object are looked up beside each other, and the library gives them as they come. Here the order
//! that they should have is read out of the operation before it is carried out, after `CollectFields` of the
//! specification (October 2021, section 6.3.2), and what came otherwise is put right afterwards, in place.
//!
//! Which fragments apply depends on the type of the object that is answered. Mostly that is known from the schema.
//! Where it is not, at interfaces and unions, the order with all fragments is that of every type as long as no key
//! occurs twice. Where one does, the objects are made to tell their types, under a key that no client can ask for.

use std::collections::HashSet;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, Value, Variables};

use super::types::{self, Type};

/// Under which key an object tells its type; no name in a document can have a space.
const ITS_TYPE: &str = "its type";

/// In which order the fields of an answer come.
#[derive(Debug, Default)]
pub(super) struct Sequence(Keys);

/// The keys of an object, in order.
#[derive(Debug, Default)]
struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    name: Name,
    below: Below,
}

/// What is below a key.
#[derive(Debug)]
enum Below {
    /// No selection: a scalar, whatever it is made of.
    Leaf,
    /// Objects with the same keys.
    Alike(Keys),
    /// Objects that tell their types, each with its own keys.
    ByType(Vec<(&'static str, Keys)>),
}

impl Sequence {
    /// Reads the order out of an operation, and says which selections have to [tell their types](tell_types) for it.
    pub(super) fn of(
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> (Self, Vec<Pos>) {
        let mut reading = Reading { document, variables, unclear: Vec::new() };
        let below = reading.below(types::root(operation.ty), &[&operation.selection_set]);
        let keys = match below {
            Below::Alike(keys) => keys,
            // The root is an object and has a selection.
            Below::Leaf | Below::ByType(_) => Keys::default(),
        };
        (Self(keys), reading.unclear)
    }

    /// Puts the fields of an answer in order; whatever is in order already is only looked at.
    pub(super) fn restore(&self, data: &mut Value) {
        if let Value::Object(fields) = data {
            self.0.restore(fields);
        }
    }
}

impl Keys {
    fn restore(&self, fields: &mut IndexMap<Name, Value>) {
        let mut at = 0;
        for key in &self.0 {
            let found = match fields.get_index(at) {
                None => break,
                Some((name, _)) if *name == key.name => at,
                // Whatever failed, or does not apply, is not there.
                Some(_) => match fields.get_index_of(&key.name) {
                    None => continue,
                    Some(found) => found,
                },
            };
            if found != at {
                fields.swap_indices(at, found);
            }
            if let Some((_, value)) = fields.get_index_mut(at) {
                key.below.restore(value);
            }
            at += 1;
        }
        // The same selection may have to tell its types elsewhere, where it is merged with others.
        if at < fields.len() {
            fields.swap_remove(ITS_TYPE);
        }
    }
}

impl Below {
    fn restore(&self, value: &mut Value) {
        match (self, value) {
            (Self::Leaf, _) => {}
            (_, Value::List(items)) => items.iter_mut().for_each(|item| self.restore(item)),
            (Self::Alike(keys), Value::Object(fields)) => keys.restore(fields),
            (Self::ByType(types), Value::Object(fields)) => {
                let told = fields.swap_remove(ITS_TYPE);
                if let Some(Value::String(told)) = told
                    && let Some((_, keys)) = types.iter().find(|(name, _)| *name == told)
                {
                    keys.restore(fields);
                }
            }
            _ => {}
        }
    }
}

struct Reading<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// Where the selections begin that have to tell their types.
    unclear: Vec<Pos>,
}

/// A key with the fields that give its value, which are merged.
struct Found<'a> {
    of: Option<&'static Type>,
    name: &'a Name,
    first: &'a Field,
    more: Vec<&'a Field>,
}

#[derive(Default)]
struct Collected<'a> {
    found: IndexMap<&'a str, Found<'a>>,
    spread: HashSet<&'a str>,
    /// Whether something is there for some types only.
    partial: bool,
    /// Whether something occurred twice.
    repeated: bool,
}

impl<'a> Reading<'a> {
    /// What is below a field of this type, given all selections that are made of it.
    fn below(&mut self, of: Option<&'static Type>, selections: &[&'a Positioned<SelectionSet>]) -> Below {
        let mut collected = Collected::default();
        collected.found.reserve(selections.iter().map(|selection| selection.node.items.len()).sum());
        for selection in selections {
            self.collect(of, &selection.node, &mut collected);
        }
        match of {
            Some(of) if collected.partial && collected.repeated => {
                self.unclear.extend(selections.first().map(|selection| selection.pos));
                let mut types = Vec::new();
                for object in of.objects() {
                    let mut collected = Collected::default();
                    for selection in selections {
                        self.collect(Some(object), &selection.node, &mut collected);
                    }
                    types.push((object.name.as_str(), self.keys(collected)));
                }
                Below::ByType(types)
            }
            _ => Below::Alike(self.keys(collected)),
        }
    }

    fn keys(&mut self, collected: Collected<'a>) -> Keys {
        let keys = collected.found.into_values().map(|found| {
            let below = if found.first.selection_set.node.items.is_empty() {
                Below::Leaf
            } else {
                let leads_to = found.of.and_then(|of| of.field(&found.first.name.node));
                if found.more.is_empty() {
                    self.below(leads_to, &[&found.first.selection_set])
                } else {
                    let all = std::iter::once(found.first).chain(found.more);
                    let all: Vec<_> = all.map(|field| &field.selection_set).collect();
                    self.below(leads_to, &all)
                }
            };
            Key { name: found.name.clone(), below }
        });
        Keys(keys.collect())
    }

    /// Collects what applies to an object; to an interface or a union, what applies to any of its objects.
    fn collect(&self, of: Option<&'static Type>, selection: &'a SelectionSet, collected: &mut Collected<'a>) {
        for item in &selection.items {
            if self.is_left_out(item.node.directives()) {
                continue;
            }
            match &item.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let name = &field.response_key().node;
                    match collected.found.get_mut(name.as_str()) {
                        Some(found) => {
                            collected.repeated = true;
                            found.more.push(field);
                        }
                        None => {
                            collected.found.insert(name, Found { of, name, first: field, more: Vec::new() });
                        }
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    self.collect_fragment(of, condition, &fragment.node.selection_set.node, collected);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if !collected.spread.insert(name) {
                        collected.repeated = true;
                    } else if let Some(fragment) = self.document.fragments.get(name) {
                        let condition = Some(&fragment.node.type_condition.node.on.node);
                        self.collect_fragment(of, condition, &fragment.node.selection_set.node, collected);
                    }
                }
            }
        }
    }

    fn collect_fragment(
        &self,
        of: Option<&'static Type>,
        condition: Option<&'a Name>,
        selection: &'a SelectionSet,
        collected: &mut Collected<'a>,
    ) {
        let narrowed = condition.filter(|condition| of.is_some_and(|of| of.name != ***condition));
        let of = match (of, narrowed) {
            (Some(of), Some(condition)) => {
                let condition = types::named(condition);
                if of.is_object {
                    if condition.is_some_and(|condition| !condition.has(&of.name)) {
                        return;
                    }
                    Some(of)
                } else {
                    collected.partial = true;
                    condition
                }
            }
            (of, _) => of,
        };
        self.collect(of, selection, collected);
    }

    /// Whether `@skip` or `@include` leaves something out.
    fn is_left_out(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let left_out_if = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return false,
            };
            let Some(condition) = directive.node.get_argument("if") else { return false };
            let given = |name| self.variables.get(&name).cloned().ok_or(());
            let holds = condition.node.clone().into_const_with(given) == Ok(Value::Boolean(true));
            holds == left_out_if
        })
    }
}

/// Lets the objects of these selections tell their types.
pub(super) fn tell_types(document: &mut ExecutableDocument, selections: &[Pos]) {
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        tell_types_in(&mut operation.node.selection_set, selections);
    }
    for fragment in document.fragments.values_mut() {
        tell_types_in(&mut fragment.node.selection_set, selections);
    }
}

fn tell_types_in(selection: &mut Positioned<SelectionSet>, selections: &[Pos]) {
    for item in &mut selection.node.items {
        match &mut item.node {
            Selection::Field(field) => tell_types_in(&mut field.node.selection_set, selections),
            Selection::InlineFragment(fragment) => tell_types_in(&mut fragment.node.selection_set, selections),
            Selection::FragmentSpread(_) => {}
        }
    }
    if selections.contains(&selection.pos) && !selection.node.items.is_empty() {
        let at = |name| Positioned::new(Name::new(name), selection.pos);
        let field = Field {
            alias: Some(at(ITS_TYPE)),
            name: at("__typename"),
            arguments: Vec::new(),
            directives: Vec::new(),
            selection_set: Positioned::new(SelectionSet::default(), selection.pos),
        };
        let field = Selection::Field(Positioned::new(field, selection.pos));
        selection.node.items.push(Positioned::new(field, selection.pos));
    }
}
