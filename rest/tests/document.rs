//! The committed OpenAPI document.

/// `HISHAMOS_WRITE_OPENAPI=1 cargo test -p hishamos-rest document` writes it.
#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let current = rest::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("HISHAMOS_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == current, "rest/openapi.json is not current; HISHAMOS_WRITE_OPENAPI=1 writes it anew");
}

/// Whatever a client can see says what it is.
#[test]
fn everything_is_described() {
    let document = serde_json::to_value(rest::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut undescribed = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let text = operation["summary"].as_str().or_else(|| operation["description"].as_str());
            if text.is_none_or(str::is_empty) {
                undescribed.push(format!("{method} {path}"));
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["description"].as_str().is_none_or(str::is_empty) {
                    undescribed.push(format!("{method} {path}: {}", parameter["name"]));
                }
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if schema["description"].as_str().is_none_or(str::is_empty) {
            undescribed.push(name.clone());
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            // What may be null or an object says so beside the object.
            let text = property["description"].as_str().or_else(|| property["oneOf"][0]["description"].as_str());
            if text.is_none_or(str::is_empty) {
                undescribed.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(undescribed.is_empty(), "{undescribed:#?}");
}
