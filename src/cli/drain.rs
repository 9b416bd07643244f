//! `drain` and `undrain`.

use crate::api::goal::Goal;
use crate::api::model::{Drain, Drains, NewDrain, Selectors, Workers};
use crate::cli::args::{Delayed, DrainArgs, Format, UndrainArgs};
use crate::cli::client::{Client, Reply};
use crate::cli::exit::Exit;
use crate::cli::wait::Waiting;
use crate::cli::{Failure, check_reason, note, print, report};

/// `draingate drain`.
pub(super) async fn drain(client: &Client, args: DrainArgs) -> Result<Exit, Failure> {
    let body = body(&args)?;
    let reply = client.create(&body).await?;
    say_unmatched(client, &args.selector).await?;
    if args.dry_run {
        dry_run(&reply, args.output);
        return Ok(Exit::Done);
    }
    if !args.wait {
        report::result(&reply, args.output);
        return Ok(Exit::Done);
    }
    note(&report::begins(&reply.value, args.timeout));
    let name = reply.value.name.clone();
    let goal = Goal::Drained;
    let waiting = Waiting { client, name: &name, goal, timeout: args.timeout, output: args.output };
    waiting.run(Some(reply)).await
}

/// Several selectors are any of them: one among them that matches nobody may be a mistyped name, whose worker is killed next.
async fn say_unmatched(client: &Client, selectors: &[String]) -> Result<(), Failure> {
    for selector in selectors.iter().filter(|_| selectors.len() > 1) {
        let matched = client.get::<Workers>(&["v1", "workers"], &[("selector", selector)]).await?.value.workers;
        if matched.is_empty() {
            note(&format!("draingate: no worker matches {selector}; the drain is of the others"));
        }
    }
    Ok(())
}

/// `draingate undrain`.
pub(super) async fn undrain(client: &Client, args: UndrainArgs) -> Result<Exit, Failure> {
    let there = in_force(client).await?;
    let names = if args.all { there.clone() } else { args.name };
    if names.is_empty() {
        print("no drains in force");
    }
    for name in names {
        client.lift(&name).await?;
        if there.contains(&name) {
            print(&format!("{name} lifted"));
        } else {
            note(&format!("no drain named {name} is in force"));
        }
    }
    Ok(Exit::Done)
}

async fn in_force(client: &Client) -> Result<Vec<String>, Failure> {
    let drains = client.get::<Drains>(&["v1", "drains"], &[]).await?.value.drains;
    Ok(drains.into_iter().filter(|drain| drain.in_force).map(|drain| drain.name).collect())
}

fn body(args: &DrainArgs) -> Result<NewDrain, Failure> {
    check_reason(args.ttl.as_deref(), args.reason.as_deref())?;
    let flag = |set: bool| set.then_some(true);
    Ok(NewDrain {
        selector: Selectors::Any(args.selector.clone()),
        name: args.name.clone(),
        ttl: args.ttl.clone(),
        reason: args.reason.clone(),
        require: args.require.map(|require| require.as_str().to_owned()),
        delayed: (args.delayed == Delayed::Wait).then(|| "wait".to_owned()),
        standing: flag(args.standing),
        allow_empty: flag(args.allow_empty),
        no_starve: flag(args.no_starve),
        dry_run: flag(args.dry_run),
    })
}

fn dry_run(reply: &Reply<Drain>, output: Format) {
    match output {
        Format::Json => print(&reply.text),
        // The drain has no name that would hold: the workers have.
        Format::Name => reply.value.workers.iter().for_each(|worker| print(&worker.name)),
        Format::Table => print(&report::would(&reply.value)),
    }
}
