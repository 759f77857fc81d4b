//! What a request may ask for.

use serde_json::json;

use crate::house::House;

/// The query that tools send first, with the depth of types that they ask for.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name }
    subscriptionType { name } types { ...FullType }
    directives { name description locations args { ...InputValue } } } }
    fragment FullType on __Type { kind name description specifiedByURL
        fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef }
            isDeprecated deprecationReason }
        inputFields { ...InputValue } interfaces { ...TypeRef }
        enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
        possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
        ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

#[tokio::test]
async fn tools_can_read_the_schema() {
    let house = House::new().await;
    let data = house.data(INTROSPECTION, json!({})).await;
    let types = data["__schema"]["types"].as_array().unwrap();
    assert!(types.iter().any(|kind| kind["name"] == "RunConnection"));
    assert!(types.iter().any(|kind| kind["name"] == "Position" && kind["description"].is_string()));
}

#[tokio::test]
async fn what_is_too_deep_is_refused() {
    let house = House::new().await;
    let mut query = "runId".to_owned();
    for _ in 0..6 {
        query = format!("runId step(name: \"draft\") {{ task {{ run {{ {query} }} }} }}");
    }
    let query = format!("{{ run(id: \"00000000-0000-7000-8000-000000000001\") {{ {query} }} }}");
    let answer = house.ask(&query, json!({})).await;
    assert_eq!(answer["errors"][0]["message"], "Query is nested too deep.");
}

#[tokio::test]
async fn what_costs_too_much_is_refused() {
    let house = House::new().await;
    let page = "edges { node { runId steps { name task { taskId attempts { number text } } } } }";
    let fair = format!("{{ runs(first: 200) {{ {page} }} }}");
    house.data(&fair, json!({})).await;
    let greedy: String = (0..30).map(|n| format!("r{n}: runs(first: 200) {{ {page} }} ")).collect();
    let answer = house.ask(&format!("{{ {greedy} }}"), json!({})).await;
    assert_eq!(answer["errors"][0]["message"], "Query is too complex.");
}
