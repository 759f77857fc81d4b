//! How a request becomes an answer: the schema, and around it what the GraphQL library leaves to others.
//!
//! Invariants: the fields of every answer come in the order of the selection, as the specification wants it (October
//! 2021, sections 6.3.2 and 7.2.2), whichever was known first; a document that it would take long merely to look at is
//! refused before anything looks at it; variables that are not given have their defaults everywhere, in `@skip` and
//! `@include` too; every answer to a query or a mutation names its position.

mod sequence;
mod types;
mod weight;

use std::mem;
use std::sync::Arc;

use async_graphql::futures_util::stream::{self, BoxStream, StreamExt};
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Request, Response, ServerError, Variables};
use journal::Journal;

use crate::reflected::{Recorded, Reflected};
use crate::{Mutation, Query, Subscription};
use sequence::Sequence;

/// The schema as the GraphQL library executes it.
type Inner = async_graphql::Schema<Query, Mutation, Subscription>;

/// The executable schema; cheap to clone. Every request must carry a [`Caller`](crate::Caller) as its data.
#[derive(Clone)]
pub struct Schema {
    inner: Inner,
    journal: Arc<dyn Journal>,
    /// How many fields a document may have.
    fields: usize,
}

/// What is known of a request before it is executed.
#[derive(Default)]
struct Prepared {
    sequence: Sequence,
    /// What the operation does; nothing when that cannot be told, and then execution will say why.
    kind: Option<OperationType>,
}

impl Schema {
    pub(crate) fn new(inner: Inner, journal: Arc<dyn Journal>, fields: usize) -> Self {
        Self { inner, journal, fields }
    }

    /// Answers a query or a mutation.
    pub async fn execute(&self, mut request: Request) -> Response {
        match self.prepare(&mut request) {
            Ok(prepared) => self.once(request, prepared).await,
            Err(error) => Response::from_errors(vec![error]),
        }
    }

    /// Answers an operation of any kind: a subscription as often as there is something to tell, everything else once.
    pub fn execute_stream(&self, mut request: Request) -> BoxStream<'static, Response> {
        match self.prepare(&mut request) {
            Ok(Prepared { sequence, kind: Some(OperationType::Subscription) }) => {
                let responses = self.inner.execute_stream(request).map(move |mut response| {
                    sequence.restore(&mut response.data);
                    response
                });
                responses.boxed()
            }
            Ok(prepared) => {
                let schema = self.clone();
                stream::once(async move { schema.once(request, prepared).await }).boxed()
            }
            Err(error) => stream::iter([Response::from_errors(vec![error])]).boxed(),
        }
    }

    async fn once(&self, request: Request, prepared: Prepared) -> Response {
        let mut response = match prepared.kind {
            Some(OperationType::Query) => {
                let (request, reflected) = Reflected::begin(request, self.journal.seen());
                let mut response = self.inner.execute(request).await;
                reflected.write(&mut response);
                response
            }
            Some(OperationType::Mutation) => {
                let (request, recorded) = Recorded::begin(request);
                let mut response = self.inner.execute(request).await;
                recorded.write(&mut response);
                response
            }
            Some(OperationType::Subscription) | None => self.inner.execute(request).await,
        };
        prepared.sequence.restore(&mut response.data);
        response
    }

    /// Reads the order of the answer out of a request, whose document is parsed once, here if nowhere before.
    fn prepare(&self, request: &mut Request) -> Result<Prepared, ServerError> {
        let name = request.operation_name.take();
        let mut variables = mem::take(&mut request.variables);
        let prepared = self.read(request, name.as_deref(), &mut variables);
        request.operation_name = name;
        request.variables = variables;
        prepared
    }

    fn read(
        &self,
        request: &mut Request,
        name: Option<&str>,
        variables: &mut Variables,
    ) -> Result<Prepared, ServerError> {
        let document = request.parsed_query()?;
        weight::check(document, self.fields)?;
        // Which one was meant cannot be told; executing it will say so.
        let Some(operation) = operation(document, name) else { return Ok(Prepared::default()) };
        let kind = Some(operation.ty);
        fill_in(operation, variables);
        let (sequence, unclear) = Sequence::of(document, operation, variables);
        if !unclear.is_empty() {
            let mut document = document.clone();
            sequence::tell_types(&mut document, &unclear);
            request.set_parsed_query(document);
        }
        Ok(Prepared { sequence, kind })
    }
}

/// The operation that is meant: the one of that name, or the only one.
#[must_use]
pub fn operation<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a OperationDefinition> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(&operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name).map(|one| &one.node),
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            all.next().filter(|_| all.next().is_none()).map(|one| &one.node)
        }
    }
}

/// Gives the variables that are not given their defaults. The library does so for arguments alone, so that a field
/// with `@include(if: $all)` would be missing though `$all` is true by default.
fn fill_in(operation: &OperationDefinition, variables: &mut Variables) {
    for definition in &operation.variable_definitions {
        if let Some(default) = &definition.node.default_value {
            variables.entry(definition.node.name.node.clone()).or_insert_with(|| default.node.clone());
        }
    }
}
