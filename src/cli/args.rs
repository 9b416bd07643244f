//! The command line as clap reads it. Names and defaults are part of the contract.

mod gate;
mod queues;

pub(super) use gate::GateArgs;
pub(super) use queues::{PauseArgs, QueuesArgs, ResumeArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Beyond it a number is a slip of the pen (and clocks overflow).
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Stop new jobs from reaching a worker while everything else passes, and know when nothing is in flight any more.
#[derive(Debug, Parser)]
#[command(name = "draingate", version, max_term_width = 120, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub(super) gate: GateArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gate
    Serve(ServeArgs),
    /// List the workers
    Workers(WorkersArgs),
    /// Stop handing new jobs to the workers that match
    Drain(DrainArgs),
    /// Wait for a drain; can be taken up again at any time, from any machine
    Wait(WaitArgs),
    /// List the drains
    Drains(DrainsArgs),
    /// Show a drain and its workers
    Status(StatusArgs),
    /// Print what happened lately
    Events(EventsArgs),
    /// Tell which workers went away, and what was in their hands
    Report(ReportArgs),
    /// Lift drains: their workers get jobs again
    Undrain(UndrainArgs),
    /// List the queues that were asked for, and those that are paused
    Queues(QueuesArgs),
    /// Hold a queue for everyone; other queues go on
    Pause(PauseArgs),
    /// Hand out the jobs of a paused queue again
    Resume(ResumeArgs),
    /// Exit 0 if the gate is ready, 1 if not
    Healthcheck,
    /// Check a configuration file without serving
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the versions of this command and of the gate
    Version {
        /// How to print it
        #[arg(short, long, value_enum, default_value = "table")]
        output: Plain,
    },
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A listener in front of a Redis or Valkey, as 127.0.0.1:6380=redis://127.0.0.1:6379, 127.0.0.1:6380=unix:///PATH or
    /// 127.0.0.1:6380=redis-sentinel://SENTINEL:26379/MASTER
    #[arg(long, value_name = "LISTEN=UPSTREAM")]
    pub(super) redis: Vec<String>,
    /// A listener in front of a RabbitMQ, as 127.0.0.1:5673=amqp://127.0.0.1:5672
    #[arg(long, value_name = "LISTEN=UPSTREAM")]
    pub(super) amqp: Vec<String>,
    /// Where marks and the journal are kept [default: $XDG_STATE_HOME/draingate]
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Start without the saved marks if they cannot be read
    #[arg(long)]
    pub(super) ignore_state: bool,
}

#[derive(Debug, Args)]
pub(super) struct WorkersArgs {
    /// Only those that match: a name, an id, `all`, or pairs such as system=celery,listener=blue
    pub(super) selector: Option<String>,
    /// How to print them
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: WorkersFormat,
    /// Print them again whenever they change
    #[arg(short, long)]
    pub(super) watch: bool,
    /// Those that went away within the last hour too
    #[arg(long)]
    pub(super) gone: bool,
}

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// Which workers: names, ids, `all`, or pairs such as worker=celery@web-*,before=now; any of several may match
    #[arg(required = true)]
    pub(super) selector: Vec<String>,
    /// The drain's name [default: generated]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// How long it is in force: a duration such as 12h, or none (needs --reason) [default: the gate's]
    #[arg(long, value_parser = ttl)]
    pub(super) ttl: Option<String>,
    /// Why
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Wait until all its workers are drained
    #[arg(long)]
    pub(super) wait: bool,
    /// Longest wait
    #[arg(long, default_value = "30m", value_parser = duration, value_name = "DURATION")]
    pub(super) timeout: Duration,
    /// The evidence that `drained` needs [default: the gate's]
    #[arg(long, value_enum)]
    pub(super) require: Option<Require>,
    /// Whether jobs in the workers' memory that are not due for long are waited for
    #[arg(long, value_enum, default_value = "ignore")]
    pub(super) delayed: Delayed,
    /// Mark the workers that are there now, each for its life (the default)
    #[arg(long, conflicts_with = "standing")]
    pub(super) once: bool,
    /// Mark whoever matches, newcomers too, until lifted
    #[arg(long)]
    pub(super) standing: bool,
    /// Accept a selector that matches nothing
    #[arg(long)]
    pub(super) allow_empty: bool,
    /// Refuse if a queue would be left without a worker
    #[arg(long)]
    pub(super) no_starve: bool,
    /// Only print what would be marked
    #[arg(long, conflicts_with = "wait")]
    pub(super) dry_run: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Format,
}

#[derive(Debug, Args)]
pub(super) struct WaitArgs {
    /// The drain's name
    pub(super) name: String,
    /// How far its workers have to be
    #[arg(long = "for", value_enum, default_value = "drained", value_name = "STATE")]
    pub(super) goal: For,
    /// Longest wait
    #[arg(long, default_value = "30m", value_parser = duration, value_name = "DURATION")]
    pub(super) timeout: Duration,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Format,
}

#[derive(Debug, Args)]
pub(super) struct DrainsArgs {
    /// How to print them
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Format,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The drain's name
    pub(super) name: String,
    /// Print it again whenever it changes, until it ends
    #[arg(short, long)]
    pub(super) watch: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Format,
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Go on with what happens from now on
    #[arg(short, long)]
    pub(super) follow: bool,
    /// How to print them
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Plain,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// How far back
    #[arg(long, default_value = "24h", value_parser = duration, value_name = "DURATION")]
    pub(super) since: Duration,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Plain,
}

#[derive(Debug, Args)]
pub(super) struct UndrainArgs {
    /// The drains' names
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) name: Vec<String>,
    /// Every drain in force
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// What the gate answers
    Json,
    /// Names only
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WorkersFormat {
    /// For people
    Table,
    /// With every column
    Wide,
    /// What the gate answers
    Json,
    /// Names only
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Plain {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Require {
    /// Acknowledgements confirmed by the broker
    Exact,
    /// The worker's own word is enough
    Reported,
    /// A count of its fetches is enough
    Inferred,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Delayed {
    /// Those due later than the gate's margin do not count
    Ignore,
    /// All of them are waited for
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum For {
    /// No new job can arrive
    Sealed,
    /// And nothing is in flight
    Drained,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

impl Require {
    /// The name in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Require::Exact => "exact",
            Require::Reported => "reported",
            Require::Inferred => "inferred",
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a duration such as 90s, 5m or 2h"))?;
    if duration > LONGEST { Err("longer than ten years".to_owned()) } else { Ok(duration) }
}

/// Checked here, sent as written.
fn ttl(text: &str) -> Result<String, String> {
    if text != "none" {
        duration(text).map_err(|error| format!("{error}, or none"))?;
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_contract() {
        let lines = [
            "serve --config draingate.toml --redis 127.0.0.1:0=redis://b --redis 127.0.0.1:1=redis://c --amqp a=b \
             --admin 127.0.0.1:0 --state-dir /tmp/x --ignore-state",
            "workers",
            "workers system=celery -o wide --watch --gone",
            "drain all",
            "drain worker=celery@web-* other --name n --ttl none --reason r --wait --timeout 5m --require exact \
             --delayed wait --standing --allow-empty --no-starve -o json",
            "drain all --once --dry-run -o name",
            "wait n --for sealed --timeout 90s -o json",
            "drains -o json",
            "status n --watch",
            "events --follow -o json",
            "report",
            "report --since 90m -o json",
            "undrain a b",
            "undrain --all",
            "queues -o json",
            "pause queue=default --ttl 10m --reason r --wait --timeout 5s -o name",
            "pause mail",
            "resume queue=default mail",
            "check-config f",
            "healthcheck",
            "completions zsh",
            "version -o json",
            "--admin http://gate:9480 --token t workers -o name",
            "--admin unix:/run/draingate/admin.sock events",
            "healthcheck --admin https://gate:9480 --ca ca.crt --cert own.crt --key own.key",
            "workers --admin http://gate:9480 --token t",
        ];
        for line in lines {
            let words = ["draingate"].into_iter().chain(line.split_whitespace());
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_is_no_command() {
        for line in [
            "",
            "drain",
            "drain all --once --standing",
            "drain all --wait --dry-run",
            "drain all --ttl soon",
            "drain all --timeout 30",
            "drain all --timeout 18446744073709551615s",
            "drain all --require unknown",
            "wait",
            "wait n --for gone",
            "undrain",
            "pause",
            "pause q --ttl soon",
            "resume",
            "undrain a --all",
        ] {
            let words = ["draingate"].into_iter().chain(line.split_whitespace());
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }

    #[test]
    fn the_admin_flag_of_serve_is_its_own() {
        let cli = Cli::try_parse_from(["draingate", "serve", "--admin", "127.0.0.1:0"]).expect("valid");
        assert_eq!(cli.gate.admin.as_deref(), Some("127.0.0.1:0"));
    }
}
