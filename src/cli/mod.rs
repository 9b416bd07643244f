//! The `draingate` command: what an operator and a deploy script see.
//!
//! `args` is the command line, `place` is where the gate is, `client` speaks to it, `exit` decides the exit code;
//! `drain`, `wait`, `look`, `history`, `queues`, `events` and `about` are the commands, `table` and `progress` what they
//! show. Results go to stdout, everything else to stderr.

mod about;
mod args;
mod client;
mod drain;
mod events;
pub mod exit;
mod history;
mod look;
mod place;
mod progress;
mod queues;
mod report;
mod table;
mod wait;

pub use args::Cli;

use crate::config::Flags;
use crate::server::{self, ServeOptions};
use args::{Command, GateArgs, ServeArgs};
use client::Client;
use exit::Exit;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Why a command failed: one line, and the exit code.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into() }
    }

    /// With what to do about it.
    fn hint(mut self, hint: impl AsRef<str>) -> Failure {
        self.text = format!("{}; {}", self.text, hint.as_ref());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Runs the command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Serve(args) => serve(cli.gate, args),
        Command::CheckConfig { file } => about::check_config(&file),
        Command::Completions { shell } => Ok(about::completions(shell)),
        command => talk(&cli.gate, command),
    };
    let exit = done.unwrap_or_else(|failure| {
        complain(&failure.to_string());
        failure.exit
    });
    exit.into()
}

fn serve(gate: GateArgs, args: ServeArgs) -> Result<Exit, Failure> {
    let ServeArgs { config, redis, amqp, state_dir, ignore_state } = args;
    let flags = Flags { redis, amqp, admin: gate.admin, state_dir };
    let options = ServeOptions { config, flags, ignore_state };
    server::run(options).map_err(|error| Failure::new(Exit::Failed, format!("{error:#}")))?;
    Ok(Exit::Done)
}

/// The commands that ask a gate.
fn talk(gate: &GateArgs, command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, format!("no event loop: {error}")))?;
    let client = Client::new(gate)?;
    runtime.block_on(async {
        match command {
            Command::Workers(args) => look::workers(&client, args).await,
            Command::Drain(args) => drain::drain(&client, args).await,
            Command::Wait(args) => wait::wait(&client, args).await,
            Command::Drains(args) => look::drains(&client, args).await,
            Command::Status(args) => look::status(&client, args).await,
            Command::Events(args) => events::events(&client, args).await,
            Command::Report(args) => history::report(&client, args).await,
            Command::Undrain(args) => drain::undrain(&client, args).await,
            Command::Queues(args) => queues::queues(&client, args).await,
            Command::Pause(args) => queues::pause(&client, args).await,
            Command::Resume(args) => queues::resume(&client, args).await,
            Command::Healthcheck => about::healthcheck(&client).await,
            Command::Version { output } => about::version(&client, output).await,
            // Done in `run`.
            Command::Serve(_) | Command::CheckConfig { .. } | Command::Completions { .. } => Ok(Exit::Usage),
        }
    })
}

/// What ends by nothing but an operator's hand has to say why.
fn check_reason(ttl: Option<&str>, reason: Option<&str>) -> Result<(), Failure> {
    if ttl == Some("none") && reason.is_none_or(|reason| reason.trim().is_empty()) {
        return Err(Failure::new(Exit::Usage, "--ttl none needs a --reason"));
    }
    Ok(())
}

/// A result, if there is any. That nobody reads on (`| head`) is no error; one that could not be written (to a full disk)
/// must not be taken for an empty one, and ends the command.
fn print(text: &str) {
    if text.is_empty() {
        return;
    }
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("the result cannot be written: {error}"));
            std::process::exit(Exit::Failed as i32);
        }
        _ => (),
    }
}

/// Something to know beside the result.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error.
fn complain(text: &str) {
    note(&format!("draingate: {text}"));
}
