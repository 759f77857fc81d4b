//! The committed schema.

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

/// Whatever a client can see says what it is.
#[test]
fn everything_is_described() {
    let sdl = schema::sdl();
    let mut undescribed = Vec::new();
    let mut before = "";
    let mut root = String::new();
    for line in sdl.lines() {
        let text = line.trim();
        let names = |word: &str| text.starts_with(word);
        if names("type ") || names("input ") || names("enum ") || names("scalar ") || names("interface ") {
            root = text.trim_end_matches(" {").to_owned();
        }
        let item = !text.is_empty() && !text.starts_with(['"', '}', '#', ')']) && !names("directive") && !names("schema");
        let in_schema_block = matches!(text, "query: Query" | "mutation: Mutation" | "subscription: Subscription");
        if item && !in_schema_block && !before.ends_with('"') {
            undescribed.push(format!("{root}: {text}"));
        }
        before = text;
    }
    assert!(undescribed.is_empty(), "{undescribed:#?}");
}
