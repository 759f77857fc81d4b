//! Making the database files, once.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;

use crate::place::Place;
use crate::programs::Programs;
use crate::user;
use crate::{Cluster, Error};

/// Makes the files beside their final place and moves them there when all is done, so that an interrupted first start
/// leaves nothing that looks finished.
pub(crate) async fn run(programs: &Programs, place: &Place) -> Result<(), Error> {
    let unfinished = place.pgdata.with_extension("new");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(Error::io("remove", &unfinished))?;
    }
    let mut output = initdb(programs, place, &unfinished, "C.UTF-8").await?;
    if !output.status.success() && says(&output).contains("locale") {
        // Not every system has this locale; plain C sorts the same way.
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(Error::io("remove", &unfinished))?;
        }
        output = initdb(programs, place, &unfinished, "C").await?;
    }
    check(place, &output)?;
    create_database(programs, place, &unfinished).await?;
    std::fs::rename(&unfinished, &place.pgdata).map_err(Error::io("move into place", &unfinished))?;
    tracing::info!(version = programs.major, pgdata = %place.pgdata.display(), "made the database files");
    Ok(())
}

async fn initdb(programs: &Programs, place: &Place, pgdata: &Path, locale: &str) -> Result<Output, Error> {
    let program = programs.path("initdb");
    let mut command = user::command(&program, place.user);
    command
        .args(["--encoding=UTF8", "--auth=trust", "--no-instructions", "-U", Cluster::USER])
        .arg(format!("--locale={locale}"))
        .arg("-D")
        .arg(pgdata);
    command.kill_on_drop(true).output().await.map_err(Error::io("run", program))
}

/// Makes the program's own database in single-user mode, where no server is needed.
async fn create_database(programs: &Programs, place: &Place, pgdata: &Path) -> Result<(), Error> {
    let program = programs.path("postgres");
    let mut command = user::command(&program, place.user);
    command.args(["--single", "-F", "-E", "-D"]).arg(pgdata).arg("postgres").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io("run", &program))?;
    if let Some(mut input) = child.stdin.take() {
        let statement = format!("CREATE DATABASE {}\n", Cluster::DATABASE);
        input.write_all(statement.as_bytes()).await.map_err(Error::io("talk to", &program))?;
    }
    let output = child.wait_with_output().await.map_err(Error::io("wait for", program))?;
    check(place, &output)
}

fn check(place: &Place, output: &Output) -> Result<(), Error> {
    // Single-user mode ends well even after a failed statement.
    if output.status.success() && !says(output).contains("ERROR:") {
        return Ok(());
    }
    Err(Error::InitFailed { pgdata: place.pgdata.clone(), reason: says(output).trim().to_owned() })
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
