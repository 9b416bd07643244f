//! The `draingate` command.

use draingate::server::{self, ServeOptions};
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let mut options = ServeOptions::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| anyhow::anyhow!("{word} needs a value"));
        match word.as_str() {
            "serve" => (),
            "--config" => options.config = Some(PathBuf::from(value()?)),
            "--redis" => options.redis.push(value()?),
            "--amqp" => options.amqp.push(value()?),
            "--admin" => options.admin = Some(value()?),
            "--state-dir" => options.state_dir = Some(PathBuf::from(value()?)),
            "--ignore-state" => options.ignore_state = true,
            _ => anyhow::bail!("unknown: {word}"),
        }
    }
    Ok(server::run(options)?)
}
