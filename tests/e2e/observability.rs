//! What is watched: the figures that alerts, dashboard and documentation name are those that the program has.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::program::{Home, install_crypto, until};

/// The names of figures in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| {
            ["hishamos_", "journal_"].iter().any(|prefix| word.starts_with(prefix)) && word.matches('_').count() >= 2
        })
        .map(|word| {
            // Prometheus makes these of histograms.
            let ends = ["_bucket", "_sum", "_count"];
            ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
        })
        .collect()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn metrics(url: &str) -> String {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap() })
}

#[test]
fn alerts_dashboard_and_documentation_name_the_figures_that_there_are() {
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    home.run(&["run", "welcome", "--input", "file=@README.md", "--watch"]).expect(0);
    // A trigger decides something.
    home.write(
        "ping.yaml",
        "key: ping\nworkflow: welcome\nexternal: { name: ping }\ninput: { file: trigger.payload.text }\n",
    );
    home.run(&["trigger", "set", "ping.yaml"]).expect(0);
    home.run(&["trigger", "post", "ping", "--payload", r#"{"text": "pong"}"#]).expect(0);
    let shown = until("all figures", || {
        let shown = metrics(&server.url);
        let decided = shown.contains("hishamos_trigger_decisions_total{");
        (decided && shown.contains("hishamos_projection_batch_seconds_count{")).then_some(shown)
    });
    let has: BTreeSet<String> = shown
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .flat_map(|line| named(line.split(['{', ' ']).next().unwrap_or_default()))
        .collect();
    for place in ["observability/alerts.yaml", "observability/dashboard.json"] {
        // Those of WebSockets and of resting platforms are there when there was one.
        let missing: Vec<String> = named(&file(place))
            .into_iter()
            .filter(|name| {
                !has.contains(name) && !name.starts_with("hishamos_websocket_") && name != "hishamos_breaker_state"
            })
            .collect();
        assert!(missing.is_empty(), "{place} names what is not measured: {missing:?}");
    }
    // What is measured is explained, and what is explained is described in the program.
    let explained = named(&file("docs/operate/observability.md"));
    let undocumented: Vec<_> = has.difference(&explained).collect();
    assert!(undocumented.is_empty(), "not in docs/operate/observability.md: {undocumented:?}");
    let source = named(&file("src/server/metrics.rs"));
    assert_eq!(explained, source, "docs/operate/observability.md and the list of figures differ");
    for line in shown.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap_or_default();
        assert!(shown.contains(&format!("# HELP {name} ")), "{name} is not described");
    }
    drop(server);
}

#[test]
fn the_dashboard_is_one_and_has_a_query_in_each_panel() {
    let dashboard: Value = serde_json::from_str(&file("observability/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 10);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert_eq!(panel["datasource"]["uid"], "prometheus", "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && targets.iter().all(|target| target["expr"].is_string()), "{panel}");
    }
    // Compose brings both files to where they are read.
    let compose = file("docker-compose.yml");
    for place in ["./observability/alerts.yaml", "./observability/dashboard.json", "uid: prometheus"] {
        assert!(compose.contains(place), "{place}");
    }
}
