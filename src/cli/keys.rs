//! `hishamos keys`: the encrypted store for the keys of AI platforms. Needs no database and no running server.

use std::io::{BufRead, IsTerminal, Read};

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::terminal::{Style, Terminal};
use crate::config::Config;
use crate::keys::{KeyStore, KeysError};
use crate::platforms;

/// Nobody's key is longer.
const MOST: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List the names of the stored keys, and which platforms use them
    List,
    /// Store a key under a name, encrypted; it is read from standard input, or asked for on a terminal
    Put {
        /// The name: that of the platform which is to use it, or one that its `stored_key` names
        name: String,
    },
    /// Take a stored key away
    Remove {
        /// Its name
        name: String,
    },
    /// Make a new master key, encrypt all stored keys under it, and destroy the old one
    Rotate,
}

fn failed(error: KeysError) -> Failure {
    match error {
        error @ KeysError::File { .. } => Failure::Infrastructure(error.into()),
        KeysError::Unfit(message) => Failure::usage(message),
        error => {
            let message = format!("{:#}", anyhow::Error::from(error));
            Failure::Refused { code: "KEYS_UNREADABLE".to_owned(), message }
        }
    }
}

fn name(text: &str) -> Result<&str, Failure> {
    match text.parse::<domain::Key>() {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::usage(format!("`{text}` cannot be the name of a stored key: {error}"))),
    }
}

/// `hishamos keys`.
pub(crate) fn keys(config: &Config, terminal: &mut Terminal, as_json: bool, asked: &Keys) -> Result<(), Failure> {
    let store = KeyStore::of(config);
    match asked {
        Keys::List => list(config, &store, terminal, as_json),
        Keys::Put { name: text } => {
            let name = name(text)?;
            let key = read(name)?;
            let replaced = store.put(name, &key).map_err(failed)?;
            let users = platforms::users_of(config, name);
            if as_json {
                terminal.json(&json!({ "name": name, "replaced": replaced, "platforms": users }));
                return Ok(());
            }
            let glyph = terminal.paint(Style::Good, "✓");
            let what = if replaced { "is stored in place of the one before" } else { "is stored" };
            terminal.line(format!("{glyph} the key `{name}` {what}; a running server takes it at its next start"));
            if users.is_empty() {
                terminal.line(format!(
                    "  no platform uses it yet: call one `{name}`, or give one `stored_key = \"{name}\"`"
                ));
            }
            Ok(())
        }
        Keys::Remove { name: text } => {
            let name = name(text)?;
            if !store.remove(name).map_err(failed)? {
                let known = store.names().map_err(failed)?.into_keys().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {known}") };
                return Err(Failure::usage(format!("there is no stored key `{name}`; {known}")));
            }
            if as_json {
                terminal.json(&json!({ "name": name, "removed": true }));
            } else {
                let glyph = terminal.paint(Style::Good, "✓");
                terminal.line(format!("{glyph} the key `{name}` is gone; a running server has it until it stops"));
            }
            Ok(())
        }
        Keys::Rotate => {
            let (count, old, new) = store.rotate().map_err(failed)?;
            if as_json {
                terminal.json(&json!({ "keys": count, "from": old, "to": new }));
            } else {
                let glyph = terminal.paint(Style::Good, "✓");
                terminal.line(format!("{glyph} {count} keys are sealed under the new master key {new}; {old} is gone"));
            }
            Ok(())
        }
    }
}

fn list(config: &Config, store: &KeyStore, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let names = store.names().map_err(failed)?;
    // That they open is part of the answer.
    store.open().map_err(failed)?;
    if as_json {
        let all: Vec<_> = names
            .iter()
            .map(|(name, since)| {
                json!({ "name": name, "since": since.to_string(), "platforms": platforms::users_of(config, name) })
            })
            .collect();
        terminal.json(&json!({ "keys": all }));
        return Ok(());
    }
    for (name, since) in &names {
        let users = platforms::users_of(config, name);
        let users = if users.is_empty() { "no platform".to_owned() } else { users.join(", ") };
        terminal.line(format!("{name:<24} {}  used by {users}", since.strftime("%Y-%m-%d %H:%M")));
    }
    if names.is_empty() {
        terminal.line("no key is stored; `hishamos keys put NAME` stores one");
    }
    Ok(())
}

/// The key, which is never an argument: those stand in the list of processes and in the shell's history.
fn read(name: &str) -> Result<String, Failure> {
    let input = std::io::stdin();
    let unread = |error| Failure::usage(format!("the key cannot be read from standard input: {error}"));
    if !input.is_terminal() {
        let mut text = String::new();
        input.lock().take(MOST).read_to_string(&mut text).map_err(unread)?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    let silence = Silence::begin().map_err(unread)?;
    super::ask(&format!("the key `{name}` (it is not shown): "));
    let mut text = String::new();
    let read = input.lock().read_line(&mut text);
    drop(silence);
    super::ask("\n");
    read.map_err(unread)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Silence(rustix::termios::Termios);

impl Silence {
    fn begin() -> std::io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, &self.0);
    }
}
