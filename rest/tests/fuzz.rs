//! Schemathesis, by other authors, tries the API by its OpenAPI document.

use std::process::Command;

use crate::house::House;

/// How long it may try.
const SECONDS: u64 = 45;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_and_every_answer_fits_the_document() {
    let install = || testkit::python_with("schemathesis-4.32.5", &["schemathesis==4.32.5"]);
    let python = tokio::task::spawn_blocking(install).await.unwrap();
    let house = House::furnished_with(|options| options.rate = None).await;
    let _engine = house.engine();
    let run = house.start().await;
    let files = tempfile::tempdir().unwrap();
    let path = files.path().to_owned();
    // What is there to be found; else it would find only that nothing is there.
    std::fs::write(path.join("schemathesis.toml"), format!("[parameters]\n\"path.id\" = \"{run}\"\n")).unwrap();
    let mut command = Command::new(python.with_file_name("st"));
    command
        .args(["run", &format!("{}/api/v1/openapi.json", house.url), "--url", &house.url])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "7"])
        .args(["--request-timeout", "90", "--workers", "1", "--no-color", "--suppress-health-check", "all"])
        .args(["--max-time", &SECONDS.to_string()]);
    let output = tokio::task::spawn_blocking(move || command.current_dir(path).output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Tested: "), "it has tried something: {said}");
}
