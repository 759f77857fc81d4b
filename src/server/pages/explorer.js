// The GraphQL explorer: plain JavaScript, nothing fetched from elsewhere.
"use strict";

const by = (id) => document.getElementById(id);
const EXAMPLES = {
  "Newest runs": [`query Runs($first: Int) {
  position
  runs(first: $first) {
    edges { node { runId workflowKey status simulated startedAt durationMs } }
    pageInfo { hasNextPage endCursor }
  }
}`, { first: 10 }],
  "Workflows": [`{
  workflows {
    edges { node { key name description activeVersion } }
  }
}`, {}],
  "Start a run": [`mutation Start($input: StartRunInput!) {
  startRun(input: $input) { runId position repeated }
}`, { input: { workflow: "welcome", input: { file: "Text to read" } } }],
  "One run, in depth": [`query Run($id: UUID!) {
  run(id: $id) {
    status output error { kind message }
    steps { name status durationMs task { attempts { number platform answeredBy status durationMs } } }
    explain { next { kind platform at } }
  }
}`, { id: "" }],
  "Follow a run": [`subscription Follow($id: UUID!) {
  runEvents(runId: $id) { position step event { type recordedAt payload } }
}`, { id: "" }],
  "Follow the journal": [`subscription {
  journal { position type stream actor recordedAt }
}`, {}],
};

// How many items of a subscription stay on the page.
const KEPT = 500;

let socket = null;
// The run that was started or looked at last; the examples about one run ask for it.
let lastRun = "";

function show(value) {
  by("result").textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function say(text) {
  by("status").textContent = text;
}

function stop(text) {
  if (socket) { const old = socket; socket = null; old.close(1000); }
  by("stop").disabled = true;
  if (text) say(text);
}

async function ask(query, variables) {
  const started = performance.now();
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const value = await answer.json();
  return { value, ms: Math.round(performance.now() - started) };
}

function follow(query, variables) {
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql/ws`;
  const current = new WebSocket(address, "graphql-transport-ws");
  const items = [];
  let count = 0;
  socket = current;
  by("stop").disabled = false;
  show("");
  current.onopen = () => current.send(JSON.stringify({ type: "connection_init" }));
  current.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "connection_ack") {
      current.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query, variables } }));
      say("Subscribed.");
    } else if (message.type === "next") {
      count += 1;
      items.push(JSON.stringify(message.payload, null, 2));
      if (items.length > KEPT) items.shift();
      show(items.join("\n"));
      by("result").scrollTop = by("result").scrollHeight;
      say(count > KEPT ? `${count} items, the last ${KEPT} are shown.` : `${count} items.`);
    } else if (message.type === "error") {
      show(message.payload);
      stop("Refused.");
    } else if (message.type === "complete") {
      stop(`Complete after ${count} items.`);
    } else if (message.type === "ping") {
      current.send(JSON.stringify({ type: "pong" }));
    }
  };
  current.onclose = ({ code, reason }) => {
    if (socket === current) stop(`Closed: ${code} ${reason}`);
  };
}

async function run() {
  stop();
  const query = by("query").value;
  let variables;
  try {
    variables = JSON.parse(by("variables").value.trim() || "{}");
  } catch (error) {
    say(`The variables are no JSON: ${error.message}`);
    return;
  }
  if (/^\s*subscription\b/m.test(query)) {
    follow(query, variables);
    return;
  }
  say("Asking…");
  try {
    const { value, ms } = await ask(query, variables);
    show(value);
    lastRun = value.data?.startRun?.runId || value.data?.runs?.edges?.[0]?.node?.runId || lastRun;
    say(`${value.errors ? "Errors" : "Answered"} in ${ms} ms.`);
  } catch (error) {
    say(`The server did not answer: ${error.message}`);
  }
}

const named = (type) =>
  type.kind === "NON_NULL" ? `${named(type.ofType)}!` : type.kind === "LIST" ? `[${named(type.ofType)}]` : type.name;

function entry(field) {
  const term = document.createElement("dt");
  const inputs = (field.args || []).map((arg) => `${arg.name}: ${named(arg.type)}`).join(", ");
  term.textContent = field.name + (inputs ? `(${inputs})` : "") + (field.type ? `: ${named(field.type)}` : "");
  const text = document.createElement("dd");
  text.textContent = field.description || "";
  return [term, text];
}

async function docs() {
  const depth = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
  const { value } = await ask(`{ __schema { types { kind name description
    fields { name description type { ${depth} } args { name type { ${depth} } } }
    inputFields { name description type { ${depth} } }
    enumValues { name description } } } }`, {});
  const roots = ["Subscription", "Mutation", "Query"];
  const types = value.data.__schema.types.filter((type) => !type.name.startsWith("__"));
  types.sort((a, b) => (roots.indexOf(b.name) - roots.indexOf(a.name)) || a.name.localeCompare(b.name));
  for (const type of types) {
    const block = document.createElement("details");
    const head = document.createElement("summary");
    head.textContent = type.name;
    head.title = type.description || "";
    const list = document.createElement("dl");
    for (const field of type.fields || type.inputFields || type.enumValues || []) list.append(...entry(field));
    if (!list.children.length) list.append(...entry({ name: type.kind.toLowerCase(), description: type.description }));
    block.append(head, list);
    by("docs").append(block);
  }
}

function choose(name) {
  const [query, variables] = EXAMPLES[name];
  by("query").value = query;
  by("variables").value = JSON.stringify("id" in variables ? { ...variables, id: lastRun } : variables, null, 2);
}

for (const name of Object.keys(EXAMPLES)) by("examples").append(new Option(name));
by("examples").onchange = ({ target }) => choose(target.value);
by("run").onclick = run;
by("stop").onclick = () => stop("Stopped.");
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); }
});
choose("Newest runs");
docs().catch((error) => say(`The schema could not be read: ${error.message}`));
