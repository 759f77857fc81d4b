//! The fields of answers come in the order in which they were asked for.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use async_graphql::futures_util::StreamExt;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Field, FieldDefinition, Selection, SelectionSet, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::parser::{parse_query, parse_schema};
use serde_json::{Value, json};

use crate::house::House;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A question whose fields are known at different times: of the row itself, of rows beside it, and of the journal.
const MIXED: &str = "query Other { journalHead } query Mixed($id: UUID!, $at: Position) {
    late: run(id: $id, minPosition: $at) { status }
    run(id: $id, minPosition: $at) {
        steps { task { attempts { number } taskId run { workflow { name key } runId } ...Early } name }
        cost explain { next { kind } status }
        ...Tail
        status workflow { key }
        ... on Node { id }
        ... { agentless: runId }
    }
    head: journalHead
    run(id: $id, minPosition: $at) { workflow { versions { version } name } output }
    __typename }
    fragment Tail on Run { steps { title task { status } } runId workflow { name } }
    fragment Early on Task { agent { name key } status }";

#[tokio::test]
async fn fields_come_as_they_were_asked_for() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let request = House::request(MIXED, json!({ "id": run, "at": house.head().await })).operation_name("Mixed");
    let answer = serde_json::to_value(house.schema.execute(request).await).unwrap();
    assert!(answer.get("errors").is_none(), "{answer:#}");
    let data = &answer["data"];
    assert_eq!(keys(data), ["late", "run", "head", "__typename"]);
    let run = &data["run"];
    assert_eq!(
        keys(run),
        ["steps", "cost", "explain", "runId", "workflow", "status", "id", "agentless", "output"],
        "{run:#}"
    );
    assert_eq!(keys(&run["explain"]), ["next", "status"]);
    assert_eq!(keys(&run["workflow"]), ["name", "key", "versions"]);
    for step in run["steps"].as_array().unwrap() {
        assert_eq!(keys(step), ["task", "name", "title"]);
        let task = &step["task"];
        assert_eq!(keys(task), ["attempts", "taskId", "run", "agent", "status"]);
        assert_eq!(keys(&task["run"]), ["workflow", "runId"]);
        assert_eq!(keys(&task["run"]["workflow"]), ["name", "key"]);
        assert_eq!(keys(&task["agent"]), ["name", "key"]);
    }
}

#[tokio::test]
async fn each_kind_of_node_has_its_own_order() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let ask = "query($id: ID!, $at: Position) { node(id: $id, minPosition: $at) {
        ... on Task { run { runId status } id status }
        ... on Run { workflow { key name } status id }
        ...Both } }
        fragment Both on Node { id ... on Run { steps { name } } ... on Task { agent { key } run { actor } } }";
    let at = house.head().await;
    let found = house.data(ask, json!({ "id": format!("run-{run}"), "at": at })).await;
    assert_eq!(keys(&found["node"]), ["workflow", "status", "id", "steps"]);
    let first = "query($id: UUID!) { run(id: $id) { steps { task { id } } } }";
    let first = house.data(first, json!({ "id": run })).await;
    let found = house.data(ask, json!({ "id": first["run"]["steps"][0]["task"]["id"] })).await;
    assert_eq!(keys(&found["node"]), ["run", "id", "status", "agent"], "{found:#}");
    assert_eq!(keys(&found["node"]["run"]), ["runId", "status", "actor"]);
}

#[tokio::test]
async fn each_message_of_a_subscription_is_in_order_too() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let follow = "subscription($id: UUID!) { run(runId: $id) { run { steps { task { attempts { number } taskId } name }
        workflow { name key } status runId } position } }";
    let answers = house.schema.execute_stream(House::request(follow, json!({ "id": run }))).collect::<Vec<_>>();
    let answers = tokio::time::timeout(Duration::from_secs(10), answers).await.expect("the subscription ends");
    assert!(!answers.is_empty());
    for answer in answers {
        let answer = serde_json::to_value(answer).unwrap();
        assert!(answer.get("errors").is_none(), "{answer:#}");
        let told = &answer["data"]["run"];
        assert_eq!(keys(told), ["run", "position"]);
        assert_eq!(keys(&told["run"]), ["steps", "workflow", "status", "runId"]);
        for step in told["run"]["steps"].as_array().unwrap() {
            assert_eq!(keys(step), ["task", "name"]);
        }
    }
    // What comes over a stream and is no subscription.
    let request = House::request(MIXED, json!({ "id": run })).operation_name("Mixed");
    let answers = house.schema.execute_stream(request).collect::<Vec<_>>().await;
    let answer = serde_json::to_value(&answers[0]).unwrap();
    assert_eq!(keys(&answer["data"]), ["late", "run", "head", "__typename"]);
}

#[tokio::test]
async fn variables_have_their_defaults_in_directives_too() {
    let house = House::new().await;
    let ask = "query($yes: Boolean = true, $no: Boolean! = false) {
        a: journalHead @include(if: $yes) b: journalHead @include(if: $no) c: journalHead @skip(if: $yes)
        d: journalHead @skip(if: $no) e: journalHead @skip(if: true) f: journalHead e: journalHead }";
    assert_eq!(keys(&house.data(ask, json!({})).await), ["a", "d", "f", "e"]);
    assert_eq!(keys(&house.data(ask, json!({ "yes": false, "no": true })).await), ["b", "c", "f", "e"]);
}

#[tokio::test]
async fn documents_that_stand_for_more_than_can_be_counted_are_refused_at_once() {
    let house = House::new().await;
    let begun = Instant::now();
    let chain = |length: usize, spread: &str| {
        let mut document = "{ ...F0 }".to_owned();
        for at in 0..length {
            let next = at + 1;
            document.push_str(&format!(" fragment F{at} on Query {{ {} }}", spread.replace('#', &format!("F{next}"))));
        }
        document + &format!(" fragment F{length} on Query {{ journalHead }}")
    };
    // Two to the thirtieth, with nothing deeper than is allowed.
    let (code, message) = message_of(&house, &chain(29, "...# ...#")).await;
    assert_eq!((code.as_str(), message.as_str()), ("QUERY_TOO_COMPLEX", "Query is too complex."));
    let (code, _) = message_of(&house, &chain(40, "...#")).await;
    assert_eq!(code, "QUERY_TOO_DEEP");
    let circle = "{ ...A } fragment A on Query { journalHead ...B } fragment B on Query { ...A ...A }";
    assert_eq!(message_of(&house, circle).await.0, "QUERY_TOO_DEEP");
    let answer = house.data(&chain(10, "...# ...#"), json!({})).await;
    assert_eq!(keys(&answer), ["journalHead"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

async fn message_of(house: &House, query: &str) -> (String, String) {
    let mut response = house.schema.execute(House::request(query, json!({}))).await;
    schema::label(&mut response);
    let answer = serde_json::to_value(response).unwrap();
    let error = &answer["errors"][0];
    (error["extensions"]["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

/// The key under which the reference finds what kind an object is.
const KIND: &str = "kind_";

/// The schema as its text says it.
struct Sdl {
    fields: HashMap<String, Vec<FieldDefinition>>,
    /// The interfaces of objects and the members of unions, both ways.
    objects: HashMap<String, Vec<String>>,
}

fn base(of: &Type) -> &str {
    match &of.base {
        BaseType::Named(name) => name,
        BaseType::List(of) => base(of),
    }
}

impl Sdl {
    fn read() -> Self {
        let mut sdl = Self { fields: HashMap::new(), objects: HashMap::new() };
        for definition in parse_schema(schema::sdl()).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Object(object) => {
                    for interface in object.implements {
                        sdl.objects.entry(interface.node.to_string()).or_default().push(name.clone());
                    }
                    sdl.fields.insert(name, object.fields.into_iter().map(|field| field.node).collect());
                }
                TypeKind::Interface(interface) => {
                    sdl.fields.insert(name, interface.fields.into_iter().map(|field| field.node).collect());
                }
                TypeKind::Union(union) => {
                    sdl.objects.insert(name, union.members.iter().map(|member| member.node.to_string()).collect());
                }
                _ => {}
            }
        }
        sdl
    }

    fn leads_to(&self, of: &str, field: &str) -> Option<&str> {
        let field = self.fields.get(of)?.iter().find(|one| one.name.node == field)?;
        Some(base(&field.ty.node)).filter(|name| self.is_composite(name))
    }

    fn is_composite(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.objects.contains_key(name)
    }

    fn applies(&self, condition: &str, object: &str) -> bool {
        condition == object || self.objects.get(condition).is_some_and(|all| all.iter().any(|one| one == object))
    }
}

/// `CollectFields` of the specification, as it stands there.
struct Reference<'a> {
    sdl: &'a Sdl,
    document: &'a ExecutableDocument,
    objects: usize,
}

impl<'a> Reference<'a> {
    fn collect(
        &self,
        object: &str,
        selection: &'a SelectionSet,
        visited: &mut HashSet<&'a str>,
        groups: &mut Vec<(&'a str, Vec<&'a Field>)>,
    ) {
        for item in &selection.items {
            let left_out = item.node.directives().iter().any(|directive| {
                let condition = directive.node.get_argument("if").unwrap().node.to_string();
                let holds = condition == "true" || condition == "$yes";
                holds == (directive.node.name.node == "skip")
            });
            if left_out {
                continue;
            }
            match &item.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    match groups.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, fields)) => fields.push(&field.node),
                        None => groups.push((key, vec![&field.node])),
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let fragment = &self.document.fragments[name].node;
                    if visited.insert(name) && self.sdl.applies(&fragment.type_condition.node.on.node, object) {
                        self.collect(object, &fragment.selection_set.node, visited, groups);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    if condition.is_none_or(|condition| self.sdl.applies(condition, object)) {
                        self.collect(object, &fragment.node.selection_set.node, visited, groups);
                    }
                }
            }
        }
    }

    fn check(&mut self, of: &str, selections: &[&'a SelectionSet], value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.check(of, selections, item)),
            Value::Object(fields) => {
                self.objects += 1;
                let object = if self.sdl.objects.contains_key(of) { fields[KIND].as_str().unwrap() } else { of };
                let (mut groups, mut visited) = (Vec::new(), HashSet::new());
                for selection in selections {
                    self.collect(object, selection, &mut visited, &mut groups);
                }
                groups.retain(|(key, _)| fields.contains_key(*key));
                let expected: Vec<&str> = groups.iter().map(|(key, _)| *key).collect();
                assert_eq!(keys(value), expected, "of a {object}");
                for (key, group) in groups {
                    if let Some(below) = self.sdl.leads_to(object, &group[0].name.node) {
                        let selections: Vec<_> = group.iter().map(|field| &field.selection_set.node).collect();
                        self.check(below, &selections, &fields[key]);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Writes questions by chance.
struct Asking<'a> {
    sdl: &'a Sdl,
    state: u64,
    fragments: Vec<(String, String)>,
}

impl Asking<'_> {
    /// A number below another (xorshift64*).
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        usize::try_from(self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % limit
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn directive(&mut self) -> &'static str {
        match self.below(24) {
            0 => " @skip(if: true)",
            1 => " @skip(if: $no)",
            2 => " @include(if: $yes)",
            3 => " @include(if: false)",
            _ => "",
        }
    }

    fn selection(&mut self, of: &str, depth: usize) -> String {
        let mut items: Vec<String> = (0..3 + self.below(5)).map(|_| self.item(of, depth)).collect();
        if self.sdl.objects.contains_key(of) {
            let at = self.below(items.len() + 1);
            items.insert(at, format!("{KIND}: __typename"));
        }
        format!("{{ {} }}", items.join(" "))
    }

    fn item(&mut self, of: &str, depth: usize) -> String {
        let directive = self.directive();
        let abstract_objects = self.sdl.objects.get(of).cloned();
        match self.below(8) {
            0..=2 if abstract_objects.is_some() => self.fragment(of, depth),
            0 if depth > 0 => self.fragment(of, depth),
            1 if depth > 0 => {
                let condition = self.condition(of);
                let below = condition.as_deref().unwrap_or(of).to_owned();
                let condition = condition.map(|on| format!(" on {on}")).unwrap_or_default();
                format!("...{condition}{directive} {}", self.selection(&below, depth - 1))
            }
            2 => format!("__typename{directive}"),
            _ => self.field(of, depth),
        }
    }

    fn condition(&mut self, of: &str) -> Option<String> {
        if let Some(objects) = self.sdl.objects.get(of) {
            let at = self.below(objects.len());
            return Some(objects[at].clone());
        }
        match self.below(3) {
            0 => None,
            1 if self.sdl.applies("Node", of) => Some("Node".to_owned()),
            _ => Some(of.to_owned()),
        }
    }

    fn fragment(&mut self, of: &str, depth: usize) -> String {
        let directive = self.directive();
        let on = self.condition(of).unwrap_or_else(|| of.to_owned());
        let known: Vec<usize> = (0..self.fragments.len()).filter(|at| self.fragments[*at].0 == on).collect();
        if !known.is_empty() && self.one_in(2) {
            let at = known[self.below(known.len())];
            return format!("...F{at}{directive}");
        }
        let body = self.selection(&on, depth.saturating_sub(1));
        self.fragments.push((on, body));
        format!("...F{}{directive}", self.fragments.len() - 1)
    }

    /// A field that takes no arguments, under its own name or one of two others. The same key is the same field of the
    /// same type everywhere, so that all of them merge.
    fn field(&mut self, of: &str, depth: usize) -> String {
        let sdl = self.sdl;
        let optional = |field: &&FieldDefinition| {
            field.arguments.iter().all(|one| one.node.ty.node.nullable || one.node.default_value.is_some())
        };
        let fields = sdl.fields.get(of).into_iter().flatten().filter(optional);
        let fields: Vec<_> = fields.filter(|field| depth > 0 || !sdl.is_composite(base(&field.ty.node))).collect();
        let directive = self.directive();
        if fields.is_empty() {
            return format!("__typename{directive}");
        }
        let field = fields[self.below(fields.len())];
        let name = &field.name.node;
        let kind: String =
            field.ty.node.to_string().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        let alias = format!("{name}_{kind}_{}: ", self.below(2));
        let below = base(&field.ty.node);
        let selection =
            if sdl.is_composite(below) { format!(" {}", self.selection(below, depth - 1)) } else { String::new() };
        format!("{alias}{name}{directive}{selection}")
    }
}

#[tokio::test]
async fn whatever_is_asked_comes_in_the_order_of_the_specification() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let first =
        "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { id steps { task { id taskId } } } }";
    let first = house.data(first, json!({ "id": run, "at": house.head().await })).await;
    let task = &first["run"]["steps"][1]["task"];
    let sdl = Sdl::read();
    let (mut objects, mut answered) = (0, 0);
    for seed in 1..=300_u64 {
        let mut asking = Asking { sdl: &sdl, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), fragments: Vec::new() };
        let roots: Vec<String> = (0..1 + asking.below(4))
            .map(|_| {
                let (field, of) = [
                    ("run(id: $run)", "Run"),
                    ("task(id: $task)", "Task"),
                    ("node(id: $node)", "Node"),
                    ("workflow(key: \"letter\")", "Workflow"),
                    ("runs(first: 2)", "RunConnection"),
                ][asking.below(5)];
                format!("{field} {}", asking.selection(of, 5))
            })
            .collect();
        let fragments = asking.fragments.iter().enumerate();
        let fragments: String = fragments.map(|(at, (on, body))| format!("fragment F{at} on {on} {body}\n")).collect();
        let node = if seed % 2 == 0 { &task["id"] } else { &first["run"]["id"] };
        let query = format!(
            "query($run: UUID!, $task: UUID!, $node: ID!, $yes: Boolean!, $no: Boolean = false) {{
                a: journalHead @include(if: $yes) @skip(if: $no) run(id: $run) {{ runId }} task(id: $task) {{ taskId }}
                node(id: $node) {{ {KIND}: __typename id }} {} }}\n{fragments}",
            roots.join("\n")
        );
        let variables = json!({ "run": run, "task": task["taskId"], "node": node, "yes": true });
        let answer = house.ask(&query, variables).await;
        if answer["data"].is_null() {
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains("too complex") || message.contains("too deep"), "{seed}: {message}\n{query}");
            continue;
        }
        answered += 1;
        let document = parse_query(&query).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let mut reference = Reference { sdl: &sdl, document: &document, objects: 0 };
        reference.check("Query", &[&operation.node.selection_set.node], &answer["data"]);
        objects += reference.objects;
    }
    assert!(answered >= 200 && objects >= 5_000, "{answered} answers with {objects} objects are too few to mean much");
}
