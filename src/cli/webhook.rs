//! Webhooks on a running server: `hishamos webhook …`.

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::terminal::{Style, Terminal, printable};

/// What is done with webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// List the webhooks
    List {
        /// Only those with this URL
        #[arg(long)]
        url: Option<String>,
    },
    /// Show one webhook
    Show {
        /// The webhook's id
        id: Uuid,
    },
    /// List the types of event that webhooks can be told about, with examples
    Events,
    /// Let a URL be told from now on; shows the secret
    Subscribe {
        /// Where it is told, by POST
        url: String,
        /// A type of event; may be repeated (default: all)
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Change who is told, or about what
    Change {
        /// The webhook's id
        id: Uuid,
        /// Where it is told, by POST
        #[arg(long)]
        url: Option<String>,
        /// A type of event; may be repeated, and replaces all
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
    },
    /// Tell it nothing until it is resumed; what happens meanwhile can be replayed
    Pause {
        /// The webhook's id
        id: Uuid,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Tell it again, whether it was paused or disabled
    Resume {
        /// The webhook's id
        id: Uuid,
    },
    /// Take it away for good
    Delete {
        /// The webhook's id
        id: Uuid,
    },
    /// Give it a new secret, and show it; the old one signs, too, for a while
    Rotate {
        /// The webhook's id
        id: Uuid,
        /// For how many hours the old secret signs, too; at most 168
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=168))]
        overlap_hours: u32,
    },
    /// Tell it that this is a test
    Test {
        /// The webhook's id
        id: Uuid,
    },
    /// List what was told, and what came of it, the latest first
    Deliveries {
        /// Only to this webhook
        id: Option<Uuid>,
        /// Only with this status: requested, waiting, delivered or given_up
        #[arg(long, value_parser = ["requested", "waiting", "delivered", "given_up"])]
        status: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// Tell something once more
    Replay {
        /// The delivery's id
        delivery: Uuid,
    },
    /// Tell a webhook once more what happened within a time and was not delivered; at most 1000 events
    ReplayRange {
        /// The webhook's id
        id: Uuid,
        /// From here on, in RFC 3339
        #[arg(long)]
        from: jiff::Timestamp,
        /// Up to here, in RFC 3339 (default: now)
        #[arg(long)]
        until: Option<jiff::Timestamp>,
        /// Also what was delivered
        #[arg(long)]
        delivered_too: bool,
    },
}

const FIELDS: &str =
    "webhookId url eventTypes description status reason since secretGeneration overlapUntil subscribedBy subscribedAt";
const DELIVERY: &str =
    "deliveryId webhookId eventType eventId eventAt status attemptsMade httpStatus trouble nextAt changedAt";

/// `hishamos webhook`.
pub(crate) async fn webhook(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Webhooks,
) -> Result<(), Failure> {
    let mut say = Say { terminal, as_json };
    match asked {
        Webhooks::List { url } => {
            let wanted = json!({ "filter": { "url": url } });
            let webhooks =
                client.all("webhooks", ", $filter: WebhookFilter", ", filter: $filter", FIELDS, wanted).await?;
            let webhooks = Value::Array(webhooks);
            let none = "no webhooks yet; `hishamos webhook subscribe URL` makes one";
            say.list(&webhooks, none, tell_webhook);
        }
        Webhooks::Show { id } => {
            let query = format!("query($id: UUID!) {{ webhook(id: $id) {{ {FIELDS} }} }}");
            let webhook = take(client.ask(&query, json!({ "id": id })).await?, "webhook");
            if webhook.is_null() {
                return Err(Failure::usage(format!("there is no webhook {id}")));
            }
            say.one(&webhook, tell_webhook);
        }
        Webhooks::Events => {
            let query = "query { webhookEventTypes { name description sample } }";
            let types = take(client.ask(query, json!({})).await?, "webhookEventTypes");
            say.list(&types, "there are none", |terminal, one| {
                let name = terminal.paint(Style::Strong, text(one, "name"));
                terminal.line(format!("{name}  {}", text(one, "description")));
                terminal.line(format!("  {}", at(one, "sample")));
            });
        }
        Webhooks::Subscribe { url, events, description } => {
            let input = json!({ "url": url, "eventTypes": events, "description": description });
            let done = mutate(client, "subscribeWebhook", "SubscribeWebhookInput", input).await?;
            say.secret(&done, &format!("webhook {} is told from now on", text(&done, "webhookId")));
        }
        Webhooks::Change { id, url, events, description } => {
            let events = (!events.is_empty()).then_some(events);
            let input = json!({ "webhookId": id, "url": url, "eventTypes": events, "description": description });
            let done = mutate(client, "changeWebhook", "ChangeWebhookInput", input).await?;
            say.changed(&done, &format!("webhook {id} is changed"), &format!("webhook {id} is like this already"));
        }
        Webhooks::Pause { id, reason } => {
            let input = json!({ "webhookId": id, "reason": reason });
            let done = mutate(client, "pauseWebhook", "WebhookInput", input).await?;
            say.changed(&done, &format!("webhook {id} is paused"), &format!("webhook {id} was paused already"));
        }
        Webhooks::Resume { id } => {
            let done = mutate(client, "resumeWebhook", "WebhookInput", json!({ "webhookId": id })).await?;
            say.changed(&done, &format!("webhook {id} is told again"), &format!("webhook {id} was not paused"));
        }
        Webhooks::Delete { id } => {
            let done = mutate(client, "deleteWebhook", "WebhookInput", json!({ "webhookId": id })).await?;
            say.changed(&done, &format!("webhook {id} is deleted"), &format!("webhook {id} was deleted already"));
        }
        Webhooks::Rotate { id, overlap_hours } => {
            let input = json!({ "webhookId": id, "overlapSeconds": overlap_hours * 3600 });
            let done = mutate(client, "rotateWebhookSecret", "RotateWebhookInput", input).await?;
            say.secret(&done, &format!("webhook {id} has a new secret"));
        }
        Webhooks::Test { id } => {
            let done = mutate(client, "testWebhook", "WebhookInput", json!({ "webhookId": id })).await?;
            let said = format!("a test is on its way; `hishamos webhook deliveries {id}` shows what becomes of it");
            say.changed(&done, &said, &said);
        }
        Webhooks::Deliveries { id, status, limit } => {
            let query = format!(
                "query($id: UUID, $status: DeliveryStatus, $limit: Int) {{ webhookDeliveries(webhookId: $id, \
                 status: $status, first: $limit) {{ nodes {{ {DELIVERY} }} }} }}"
            );
            let status = status.map(|status| status.to_uppercase());
            let mut data = client.ask(&query, json!({ "id": id, "status": status, "limit": limit })).await?;
            let deliveries = data.pointer_mut("/webhookDeliveries/nodes").map(Value::take).unwrap_or_default();
            say.list(&deliveries, "nothing was told yet", tell_delivery);
        }
        Webhooks::Replay { delivery } => {
            let query = "mutation($input: ReplayDeliveryInput!) { replayWebhookDelivery(input: $input) { position \
                         changed deliveryId } }";
            let input = json!({ "clientMutationId": Uuid::now_v7(), "deliveryId": delivery });
            let done = take(client.ask(query, json!({ "input": input })).await?, "replayWebhookDelivery");
            say.changed(&done, &format!("delivery {delivery} is made once more"), "an attempt is due anyway");
        }
        Webhooks::ReplayRange { id, from, until, delivered_too } => {
            let query = "mutation($input: ReplayDeliveriesInput!) { replayWebhookDeliveries(input: $input) { position \
                         deliveryIds delivered open } }";
            let until = until.unwrap_or_else(jiff::Timestamp::now).to_string();
            let input = json!({ "clientMutationId": Uuid::now_v7(), "webhookId": id, "from": from.to_string(), "until": until, "deliveredToo": delivered_too });
            let done = take(client.ask(query, json!({ "input": input })).await?, "replayWebhookDeliveries");
            let count = at(&done, "deliveryIds").as_array().map_or(0, Vec::len);
            let said = format!(
                "{count} are told once more, {} were delivered, {} are going on anyway",
                at(&done, "delivered"),
                at(&done, "open")
            );
            say.changed(&done, &said, &said);
        }
    }
    Ok(())
}

/// How the answer is shown.
struct Say<'a> {
    terminal: &'a mut Terminal,
    as_json: bool,
}

impl Say<'_> {
    fn one(&mut self, value: &Value, tell: impl Fn(&mut Terminal, &Value)) {
        if self.as_json { self.terminal.json(value) } else { tell(self.terminal, value) }
    }

    fn list(&mut self, values: &Value, none: &str, tell: impl Fn(&mut Terminal, &Value)) {
        if self.as_json {
            self.terminal.json(values);
            return;
        }
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        if values.is_empty() {
            self.terminal.line(none);
        }
        values.iter().for_each(|value| tell(self.terminal, value));
    }

    fn changed(&mut self, done: &Value, changed: &str, unchanged: &str) {
        let said = if at(done, "changed") == &Value::Bool(false) { unchanged } else { changed };
        self.one(done, |terminal, _| terminal.line(said));
    }

    fn secret(&mut self, done: &Value, said: &str) {
        self.one(done, |terminal, done| {
            terminal.line(said);
            terminal.line(format!("  secret: {}", text(done, "secret")));
            terminal.line("  it is not shown again; `hishamos webhook rotate` makes a new one");
        });
    }
}

fn take(mut data: Value, name: &str) -> Value {
    data.get_mut(name).map(Value::take).unwrap_or_default()
}

async fn mutate(client: &Client, name: &str, input_type: &str, mut input: Value) -> Result<Value, Failure> {
    if let Some(fields) = input.as_object_mut() {
        fields.insert("clientMutationId".to_owned(), json!(Uuid::now_v7()));
    }
    let query = format!(
        "mutation($input: {input_type}!) {{ {name}(input: $input) {{ position revision repeated changed webhookId secret \
         deliveryId webhook {{ {FIELDS} }} }} }}"
    );
    Ok(take(client.ask(&query, json!({ "input": input })).await?, name))
}

fn tell_webhook(terminal: &mut Terminal, webhook: &Value) {
    let heading = terminal.paint(Style::Strong, text(webhook, "webhookId"));
    let status = text(webhook, "status").to_lowercase();
    terminal.line(format!("{heading}  {status}  {}", printable(text(webhook, "url"))));
    let types = at(webhook, "eventTypes").as_array().map(Vec::as_slice).unwrap_or_default();
    let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
    terminal.line(format!("  about {}", types.join(", ")));
    for (name, what) in [("description", "for"), ("reason", "because")] {
        if let Some(said) = at(webhook, name).as_str().filter(|said| !said.is_empty()) {
            terminal.line(format!("  {what}: {}", printable(said)));
        }
    }
    if let Some(until) = at(webhook, "overlapUntil").as_str() {
        terminal.line(format!("  its secret before signs, too, until {until}"));
    }
}

fn tell_delivery(terminal: &mut Terminal, delivery: &Value) {
    let heading = terminal.paint(Style::Strong, text(delivery, "deliveryId"));
    let status = text(delivery, "status").to_lowercase().replace('_', " ");
    let (about, when) = (text(delivery, "eventType"), text(delivery, "eventAt"));
    terminal.line(format!("{heading}  {status}  {about} of {when}"));
    let trouble = at(delivery, "trouble").as_str().map(|what| format!(", last: {}", printable(what)));
    let next = at(delivery, "nextAt").as_str().map(|at| format!(", next at {at}"));
    let (trouble, next) = (trouble.unwrap_or_default(), next.unwrap_or_default());
    terminal.line(format!("  {} attempts{trouble}{next}", at(delivery, "attemptsMade")));
}
