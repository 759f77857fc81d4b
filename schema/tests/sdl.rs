//! The committed schema.

use crate::house::House;

/// `HISHAMOS_WRITE_SDL=1 cargo test -p hishamos-schema sdl` writes it.
#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let current = schema::sdl();
    if std::env::var_os("HISHAMOS_WRITE_SDL").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == current, "schema/schema.graphql is not current; HISHAMOS_WRITE_SDL=1 writes it anew");
}

/// Whatever a client can see says what it is; the library's own connections speak for themselves.
#[tokio::test]
async fn everything_is_described() {
    let described = "description";
    let query = "{ __schema { types { name description fields { name description } inputFields { name description }
        enumValues { name description } } } }";
    let house = House::new().await;
    let data = house.data(query, serde_json::json!({})).await;
    let mut undescribed = Vec::new();
    for kind in data["__schema"]["types"].as_array().unwrap() {
        let name = kind["name"].as_str().unwrap();
        let built_in = name.starts_with("__") || ["ID", "String", "Int", "Float", "Boolean"].contains(&name);
        if built_in || name.ends_with("Connection") || name.ends_with("Edge") {
            continue;
        }
        if kind[described].as_str().is_none_or(str::is_empty) {
            undescribed.push(name.to_owned());
        }
        for members in ["fields", "inputFields", "enumValues"] {
            for member in kind[members].as_array().into_iter().flatten() {
                if member[described].as_str().is_none_or(str::is_empty) {
                    undescribed.push(format!("{name}.{}", member["name"]));
                }
            }
        }
    }
    assert!(undescribed.is_empty(), "{undescribed:#?}");
}
