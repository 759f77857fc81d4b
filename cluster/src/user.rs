//! Whom the server runs as: the program's own user, or, because PostgreSQL refuses root, an unprivileged one.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::process::Command;

use crate::Error;

/// A user that is not the program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unprivileged {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whom the server on `pgdata` runs as; `None` is the program's own user.
pub(crate) fn choose(pgdata: &Path) -> Result<Option<Unprivileged>, Error> {
    let uid = rustix::process::geteuid().as_raw();
    let owner = std::fs::metadata(pgdata).ok().map(|found| Unprivileged { uid: found.uid(), gid: found.gid() });
    match owner {
        Some(owner) if uid != 0 && owner.uid != uid => {
            Err(Error::NotOwner { pgdata: pgdata.to_owned(), owner: owner.uid, uid })
        }
        _ if uid != 0 => Ok(None),
        // Files that an ordinary user made stay usable for that user.
        Some(owner) if owner.uid != 0 => Ok(Some(owner)),
        _ => {
            let passwd = std::fs::read_to_string("/etc/passwd").map_err(Error::io("read", "/etc/passwd"))?;
            ["postgres", "nobody"].iter().find_map(|name| find(&passwd, name)).map(Some).ok_or(Error::NoUser)
        }
    }
}

fn find(passwd: &str, name: &str) -> Option<Unprivileged> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) if uid != 0 => Some(Unprivileged { uid, gid }),
        _ => None,
    }
}

/// A command that runs as that user, in its own process group, without a terminal's input.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, user: Option<Unprivileged>) -> Command {
    let mut command = Command::new(program);
    command.process_group(0).stdin(std::process::Stdio::null()).current_dir("/");
    if let Some(user) = user {
        // The standard library drops the supplementary groups of root by itself.
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Whether that user can enter a directory.
pub(crate) async fn can_enter(dir: &Path, user: Unprivileged) -> bool {
    let mut probe = command("/bin/sh", Some(user));
    probe.args(["-c", "cd \"$1\" 2>/dev/null", "sh"]).arg(dir).stdout(std::process::Stdio::null());
    probe.status().await.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104::/var/lib/postgresql:/bin/sh\nbroken\n";
        assert_eq!(find(passwd, "postgres"), Some(Unprivileged { uid: 101, gid: 104 }));
        assert_eq!(find(passwd, "root"), None, "root is not unprivileged");
        assert_eq!(find(passwd, "broken"), None);
    }
}
