//! Which types there are, as far as the order of an answer depends on them: what fields lead to, and to which objects
//! a fragment applies.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_graphql::parser::types::OperationType;
use async_graphql::registry::{MetaType, MetaTypeName, Registry};
use async_graphql::{OutputType, SubscriptionType};

use crate::{Mutation, Query, Subscription};

/// Those of the schema. The types of introspection are not among them: there every fragment that is allowed applies.
static TYPES: LazyLock<Types> = LazyLock::new(Types::read);

/// A composite type: an object, an interface or a union.
#[derive(Debug)]
pub(super) struct Type {
    /// As `__typename` gives it.
    pub(super) name: String,
    /// The names of the composite types of its fields; scalars and enumerations are left out.
    fields: HashMap<String, String>,
    /// The names of the objects of this type; nothing but itself when it is one.
    objects: Vec<String>,
    /// Whether it is an object itself.
    pub(super) is_object: bool,
}

impl Type {
    /// Where a field leads to; nothing for a leaf.
    pub(super) fn field(&self, name: &str) -> Option<&'static Self> {
        named(self.fields.get(name)?)
    }

    /// The objects of an interface or a union.
    pub(super) fn objects(&self) -> impl Iterator<Item = &'static Self> {
        self.objects.iter().filter_map(|name| named(name))
    }

    /// Whether every object of this name is of this type.
    pub(super) fn has(&self, object: &str) -> bool {
        self.objects.iter().any(|name| name == object)
    }
}

/// The type of this name; nothing for those of introspection, and for what does not exist.
pub(super) fn named(name: &str) -> Option<&'static Type> {
    TYPES.0.get(name)
}

/// The type that an operation begins at.
pub(super) fn root(kind: OperationType) -> Option<&'static Type> {
    named(&match kind {
        OperationType::Query => <Query as OutputType>::type_name(),
        OperationType::Mutation => <Mutation as OutputType>::type_name(),
        OperationType::Subscription => <Subscription as SubscriptionType>::type_name(),
    })
}

struct Types(HashMap<String, Type>);

impl Types {
    fn read() -> Self {
        let mut registry = Registry::default();
        <Query as OutputType>::create_type_info(&mut registry);
        <Mutation as OutputType>::create_type_info(&mut registry);
        <Subscription as SubscriptionType>::create_type_info(&mut registry);
        <crate::node::Node as OutputType>::create_type_info(&mut registry);
        let mut types = HashMap::new();
        for (name, meta) in &registry.types {
            let (fields, objects) = match meta {
                MetaType::Object { fields, .. } => (Some(fields), vec![name.clone()]),
                MetaType::Interface { fields, possible_types, .. } => {
                    (Some(fields), possible_types.iter().cloned().collect())
                }
                MetaType::Union { possible_types, .. } => (None, possible_types.iter().cloned().collect()),
                MetaType::Scalar { .. } | MetaType::Enum { .. } | MetaType::InputObject { .. } => continue,
            };
            let fields = fields.into_iter().flatten().filter_map(|(field, meta)| {
                let leads_to = MetaTypeName::concrete_typename(&meta.ty);
                let composite = registry.types.get(leads_to).is_some_and(MetaType::is_composite);
                composite.then(|| (field.clone(), leads_to.to_owned()))
            });
            let is_object = matches!(meta, MetaType::Object { .. });
            types.insert(name.clone(), Type { name: name.clone(), fields: fields.collect(), objects, is_object });
        }
        Self(types)
    }
}
