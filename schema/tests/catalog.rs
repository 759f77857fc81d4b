//! Agents, templates and workflows.

use domain::{Agent, AgentId};
use insta::assert_json_snapshot;
use serde_json::json;
use uuid::Uuid;

use crate::house::{ACTIVATE, DRAFT, House, REGISTER_AGENT, REGISTER_TEMPLATE, agent, steady, template, workflow};

#[tokio::test]
async fn the_catalogue_is_written_and_read() {
    let house = House::new().await;
    let mut answers = Vec::new();
    let (mut writer, mut outline) = (agent("writer"), template("outline"));
    writer["residency"] = json!(["on-premises", "eu"]);
    outline["residency"] = json!(["eu"]);
    answers.push(house.data(REGISTER_AGENT, json!({ "input": writer })).await);
    answers.push(house.data(REGISTER_TEMPLATE, json!({ "input": outline })).await);
    house.data(REGISTER_TEMPLATE, json!({ "input": template("draft") })).await;
    answers.push(house.data(DRAFT, json!({ "input": workflow() })).await);
    answers.push(house.data(ACTIVATE, json!({ "input": { "key": "letter" } })).await);
    let disable = "mutation { disableAgent(input: { key: \"writer\", reason: \"on leave\" }) { changed agent {
        enabled disabledReason versions { version revisedBy } metrics { total } } } }";
    answers.push(house.data(disable, json!({})).await);
    let enable = "mutation { enableAgent(input: { key: \"writer\" }) { changed agent { enabled disabledReason } } }";
    answers.push(house.data(enable, json!({})).await);
    answers.push(house.data(enable, json!({})).await);
    let all = "{
        agents(filter: { text: \"WRIT\", enabled: true }) { edges { node { id key profile {
            timeoutMs contextWindow topP languages fallbackPlatforms residency } } } position }
        none: agents(filter: { department: \"nowhere\" }) { edges { cursor } }
        templates { edges { node { key body { parameters residency } versions { version } } } }
        workflows(filter: { active: true }) { edges { node { key versions { version draftedBy definition {
            inputSchema output { name expression } } } } } pageInfo { hasNextPage hasPreviousPage } }
        missing: agent(key: \"nobody\") { key }
        nonsense: workflow(key: \"No key at all\") { key }
    }";
    answers.push(house.data(all, json!({})).await);
    assert_json_snapshot!(steady(&answers.into()));
}

#[tokio::test]
async fn a_repeated_command_gets_the_first_answer() {
    let house = House::new().await;
    let mut input = agent("writer");
    input["clientMutationId"] = json!(Uuid::from_u128(42));
    let first = house.data(REGISTER_AGENT, json!({ "input": input })).await["registerAgent"].take();
    input["name"] = json!("Somebody else");
    let second = house.data(REGISTER_AGENT, json!({ "input": input })).await["registerAgent"].take();
    assert_eq!((&first["repeated"], &second["repeated"]), (&json!(false), &json!(true)));
    assert_eq!((&first["position"], &first["revision"]), (&second["position"], &second["revision"]));
    assert_eq!(second["clientMutationId"], json!(Uuid::from_u128(42)));
    assert_eq!(house.revision(AgentId::from_key(&"writer".parse().unwrap())).await, 1);
    let stored = house.commands.executor().load::<Agent>(AgentId::from_key(&"writer".parse().unwrap()).into()).await;
    assert_eq!(stored.unwrap().state.profile().unwrap().name.en, "Writer");
}

#[tokio::test]
async fn refusals_have_codes_and_change_nothing() {
    let house = House::new().await;
    let mut hot = agent("writer");
    hot["temperature"] = json!(3);
    let mut far = agent("writer");
    far["residency"] = json!(["The EU"]);
    let mut shouted = agent("WRITER");
    shouted["key"] = json!("WRITER");
    let mut circle = workflow();
    circle["steps"][0]["needs"] = json!(["draft"]);
    let mut unreadable = workflow();
    unreadable["steps"][0]["input"][0]["expression"] = json!("input.[");
    let mut stranger = template("outline");
    stranger["instructions"] = json!("{{ nobody }}");
    let cancel = "mutation { cancelRun(input: { runId: \"00000000-0000-7000-8000-000000000001\" }) { changed } }";
    let refusals = [
        house.refusal(REGISTER_AGENT, json!({ "input": hot })).await,
        house.refusal(REGISTER_AGENT, json!({ "input": shouted })).await,
        house.refusal(REGISTER_AGENT, json!({ "input": far })).await,
        house.refusal(REGISTER_TEMPLATE, json!({ "input": stranger })).await,
        house.refusal(DRAFT, json!({ "input": circle })).await,
        house.refusal(DRAFT, json!({ "input": unreadable })).await,
        house.refusal(ACTIVATE, json!({ "input": { "key": "letter" } })).await,
        house.refusal("mutation { startRun(input: { workflow: \"letter\" }) { runId } }", json!({})).await,
        house.refusal("mutation { enableAgent(input: { key: \"writer\" }) { changed } }", json!({})).await,
        house.refusal(cancel, json!({})).await,
    ];
    assert_json_snapshot!(refusals);
    assert_eq!(house.head().await, "0");
}

#[tokio::test]
async fn a_workflow_is_checked_against_the_catalogue_when_activated() {
    let house = House::new().await;
    house.data(DRAFT, json!({ "input": workflow() })).await;
    let (code, message) = house.refusal(ACTIVATE, json!({ "input": { "key": "letter" } })).await;
    assert_eq!(code, "WORKFLOW_UNKNOWN_AGENT");
    assert!(message.contains("`writer`"), "{message}");
}

#[tokio::test]
async fn people_read_in_their_language() {
    let house = House::new().await;
    let mut input = agent("writer");
    for (name, value) in [
        ("nameAr", json!("كاتب")),
        ("description", json!("Writes.")),
        ("capabilities", json!(["DOCUMENTATION", "UX_UI"])),
        ("constraints", json!([{ "en": "Never lies.", "ar": "لا يكذب." }, { "en": "Never shouts." }])),
        ("costLimit", json!("250000000")),
        ("selfReview", json!(false)),
    ] {
        input[name] = value;
    }
    house.data(REGISTER_AGENT, json!({ "input": input })).await;
    let mut input = template("outline");
    for (name, value) in [
        ("title", json!("Outline")),
        ("titleAr", json!("مخطط")),
        ("capability", json!("DOCUMENTATION")),
        ("result", json!({ "en": "An outline.", "ar": "مخطط." })),
        (
            "checklist",
            json!([
                { "text": { "en": "Is short.", "ar": "قصير." }, "check": { "max_words": 90 } },
                { "text": { "en": "Fits." }, "check": "fits_output_schema" },
                { "text": { "en": "Reads well." } },
            ]),
        ),
        ("outputSchema", json!({ "type": "object" })),
        (
            "example",
            json!({ "request": { "en": "Outline this", "ar": "ضع مخططًا" }, "parameters": { "text": "Moon" },
                    "parametersAr": { "text": "القمر" } }),
        ),
    ] {
        input[name] = value;
    }
    house.data(REGISTER_TEMPLATE, json!({ "input": input })).await;
    let head = house.head().await;
    let all = "query($at: Position) {
        agents(filter: { text: \"كات\", capability: UX_UI }, minPosition: $at) { edges { node {
            name arabic: name(language: AR)
            profile { name(language: AR) description(language: AR) capabilities constraints(language: AR) costLimit
                selfReview } } } }
        templates(filter: { text: \"مخطط\", capability: DOCUMENTATION }, minPosition: $at) { edges { node {
            title arabic: title(language: AR)
            body { capability result(language: AR) outputSchema checklist { text(language: AR) check }
                example { request(language: AR) parameters arabic: parameters(language: AR) } } } } }
        none: templates(filter: { capability: HR }, minPosition: $at) { edges { cursor } }
    }";
    assert_json_snapshot!(steady(&house.data(all, json!({ "at": head })).await));

    let mut wrong = template("outline");
    wrong["checklist"] = json!([{ "text": { "en": "Rhymes." }, "check": { "rhymes": true } }]);
    let (code, message) = house.refusal(REGISTER_TEMPLATE, json!({ "input": wrong })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
    assert!(message.contains("`checklist[0].check`") && message.contains("min_words"), "{message}");
    let mut wrong = template("outline");
    wrong["example"] = json!({ "request": { "en": "Outline" }, "parameters": { "text": 3 } });
    let (code, message) = house.refusal(REGISTER_TEMPLATE, json!({ "input": wrong })).await;
    assert_eq!(code, "TEMPLATE_EXAMPLE_INVALID");
    assert!(message.contains("/text"), "{message}");
}
