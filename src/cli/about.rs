//! The commands about the program itself: `version`, `healthcheck`, `check-config` and `completions`.

use crate::api::model::Version;
use crate::cli::args::{Cli, Plain, Shell};
use crate::cli::client::{Client, Reply};
use crate::cli::exit::Exit;
use crate::cli::{Failure, print};
use clap::CommandFactory;
use clap_complete::generate;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long `version` waits for a gate that may well not be there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Always succeeds: that there is no gate, or one that does not say more, is an answer too.
pub(super) async fn version(client: &Client, output: Plain) -> Result<Exit, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let asked = tokio::time::timeout(PATIENCE, client.get::<Version>(&["v1", "version"], &[])).await;
    let gate = asked.ok().map(|answer| answer.map_err(|error| Failure::from(error).to_string()));
    match output {
        Plain::Json => print(&version_json(own, gate.and_then(Result::ok)).to_string()),
        Plain::Table => {
            print(&format!("draingate {own}"));
            match gate.unwrap_or_else(|| Err(format!("the gate at {} does not answer", client.address()))) {
                Ok(reply) => print_gate(&reply.value),
                Err(why) => print(&format!("gate unknown: {why}")),
            }
        }
    }
    Ok(Exit::Done)
}

/// What the gate answers, with this command's own version as `client`. Without a gate `version` is the command's.
fn version_json(own: &str, gate: Option<Reply<Version>>) -> Value {
    let answered = gate.and_then(|reply| serde_json::from_str(&reply.text).ok());
    let mut json =
        answered.unwrap_or_else(|| json!({ "version": own, "listeners": [], "admin": null, "unix_socket": null }));
    json["client"] = json!(own);
    json
}

fn print_gate(gate: &Version) {
    let socket = gate.unix_socket.as_ref().map_or_else(String::new, |path| format!(" and unix:{path}"));
    print(&format!("gate {} at {}{socket}", gate.version, gate.admin));
    for listener in &gate.listeners {
        print(&format!("  {} {} -> {}", listener.name, listener.address, listener.upstream));
    }
}

pub(super) async fn healthcheck(client: &Client) -> Result<Exit, Failure> {
    match client.get::<Value>(&["readyz"], &[]).await {
        Ok(_) => Ok(Exit::Done),
        // Orchestrators know 0 and 1 only.
        Err(error) => Err(Failure { exit: Exit::Failed, ..Failure::from(error) }),
    }
}

pub(super) fn check_config(file: &Path) -> Result<Exit, Failure> {
    match crate::config::check_file(file) {
        Ok(()) => {
            print(&format!("{} is valid", file.display()));
            Ok(Exit::Done)
        }
        Err(lines) => {
            Err(Failure::new(Exit::Failed, format!("{} is not valid:\n  {}", file.display(), lines.join("\n  "))))
        }
    }
}

pub(super) fn completions(shell: Shell) -> Exit {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = vec![];
    generate(shell, &mut Cli::command(), "draingate", &mut script);
    print(&String::from_utf8_lossy(&script));
    Exit::Done
}
