use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::Error;

/// The oldest major version of PostgreSQL that is supported.
pub const OLDEST_MAJOR: u32 = 14;

/// The programs of one PostgreSQL installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The directory that holds them.
    pub bin_dir: PathBuf,
    /// The major version.
    pub major: u32,
}

impl Programs {
    /// Finds the newest programs: in `bin_dir` alone when it is given, otherwise among what the search path,
    /// `pg_config` and the distributions' usual places offer.
    ///
    /// # Errors
    /// When none is installed.
    pub async fn find(bin_dir: Option<&Path>) -> Result<Self, Error> {
        Ok(Self::all(bin_dir).await?.0)
    }

    /// Finds the programs of the major version that made the files in `pgdata`.
    pub(crate) async fn find_for(bin_dir: Option<&Path>, pgdata: &Path, made: u32) -> Result<Self, Error> {
        let (newest, older) = Self::all(bin_dir).await?;
        let found: Vec<Self> = std::iter::once(newest).chain(older).collect();
        let versions: Vec<String> = found.iter().map(|programs| programs.major.to_string()).collect();
        let fits = found.into_iter().find(|programs| programs.major == made);
        fits.ok_or_else(|| Error::VersionMismatch { pgdata: pgdata.to_owned(), made, found: versions.join(", ") })
    }

    /// The newest, and all the others.
    async fn all(bin_dir: Option<&Path>) -> Result<(Self, impl Iterator<Item = Self>), Error> {
        let places = match bin_dir {
            Some(dir) => vec![dir.to_owned()],
            None => usual_places().await,
        };
        let mut found: Vec<Self> = Vec::new();
        for bin_dir in &places {
            if let Some(major) = major_of(bin_dir).await
                && major >= OLDEST_MAJOR
            {
                found.push(Self { bin_dir: bin_dir.clone(), major });
            }
        }
        found.sort_by_key(|programs| std::cmp::Reverse(programs.major));
        let mut found = found.into_iter();
        let looked = || places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
        let newest = found.next().ok_or_else(|| Error::NotInstalled { oldest: OLDEST_MAJOR, looked: looked() })?;
        Ok((newest, found))
    }

    /// The path of one program.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.bin_dir.join(program)
    }
}

async fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    // The search path is the system's, not a setting of ours.
    if let Some(path) = std::env::var_os("PATH") {
        places.extend(std::env::split_paths(&path).filter(|dir| dir.join("postgres").is_file()));
    }
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output().await
        && answer.status.success()
    {
        places.push(String::from_utf8_lossy(&answer.stdout).trim().into());
    }
    // Debian and Ubuntu; Fedora and Arch Linux; Homebrew on both kinds of Mac.
    for parent in ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        places.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    places.extend(["/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin"].map(PathBuf::from));
    let mut seen = std::collections::HashSet::new();
    // A directory of links counts as the one that they lead to, where the other programs are, too.
    places.iter_mut().for_each(|place| {
        if let Some(real) = place.join("postgres").canonicalize().ok().as_deref().and_then(Path::parent) {
            *place = real.to_owned();
        }
    });
    places.retain(|place| place.join("postgres").is_file() && place.join("initdb").is_file());
    places.retain(|place| seen.insert(place.clone()));
    if places.is_empty() {
        places = ["$PATH", "/usr/lib/postgresql/*/bin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from).to_vec();
    }
    places
}

async fn major_of(bin_dir: &Path) -> Option<u32> {
    let answer = Command::new(bin_dir.join("postgres")).arg("--version").output().await.ok()?;
    parse_version(&String::from_utf8_lossy(&answer.stdout))
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian …)`; also betas such as `18beta1`.
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_version("postgres (EnterpriseDB) 15"), None);
    }

    #[tokio::test]
    async fn an_empty_place_says_what_to_install() {
        let error = Programs::find(Some(Path::new("/nonexistent"))).await.unwrap_err();
        assert!(matches!(error, Error::NotInstalled { .. }));
        assert!(error.to_string().contains("sudo apt install postgresql"), "{error}");
    }

    #[tokio::test]
    async fn files_of_a_missing_version_are_refused() {
        let installed = Programs::find(None).await.unwrap();
        let error = Programs::find_for(Some(&installed.bin_dir), Path::new("/data"), 9).await.unwrap_err();
        assert!(matches!(error, Error::VersionMismatch { made: 9, .. }), "{error}");
    }
}
