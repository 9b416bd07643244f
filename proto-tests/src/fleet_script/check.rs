//! What a script checks: workers, drains, marks and notices where it says so, and after every line what must always be
//! true.

use super::words::moment;
use super::{Script, ZERO};
use draingate::fleet::view::{DrainState, JobKind, WorkerState, WorkerView};
use draingate::job::Evidence;

impl Script {
    /// Promises that no script may break: a drained worker has nothing running or prefetched and no fetch at the broker,
    /// an `unknown` one is never drained, and a sealed one has no fetch at the broker.
    pub(super) fn check_always(&self) -> Result<(), String> {
        for worker in self.all() {
            let detail = self.fleet.worker(self.now, &worker.id.0).ok_or("a listed worker has no detail")?;
            let at_broker: usize = detail.connections.iter().map(|conn| conn.at_broker).sum();
            if worker.state >= WorkerState::Sealed && worker.state <= WorkerState::Drained && at_broker > 0 {
                return Err(format!("{} is {:?} with a fetch at the broker", worker.name, worker.state));
            }
            let busy = worker.in_flight.running + worker.in_flight.prefetched > 0;
            if worker.state == WorkerState::Drained && (busy || worker.evidence == Evidence::Unknown) {
                return Err(format!("{} is drained with {:?}, {:?}", worker.name, worker.in_flight, worker.evidence));
            }
        }
        Ok(())
    }

    fn all(&self) -> Vec<WorkerView> {
        self.fleet.workers(self.now, None, true).unwrap_or_default()
    }

    /// The worker of that name, id, alias, or of the connection `@name`.
    pub fn worker(&self, name: &str) -> Result<WorkerView, String> {
        let all = self.all();
        if let Some(client) = name.strip_prefix('@') {
            let id = self.conns.get(client).ok_or("no such connection")?.id;
            let has = |worker: &&WorkerView| {
                let detail = self.fleet.worker(self.now, &worker.id.0);
                detail.is_some_and(|detail| detail.connections.iter().any(|conn| conn.id == id))
            };
            return all.iter().find(has).cloned().ok_or("the worker is not listed".to_owned());
        }
        if let Some(detail) = self.fleet.worker(self.now, name) {
            return Ok(detail.worker);
        }
        // of several incarnations of one name, the one that is present
        let mut found: Vec<WorkerView> = all.into_iter().filter(|worker| worker.name == name).collect();
        found.sort_by_key(|worker| worker.connections);
        found.pop().ok_or_else(|| format!("no worker is called {name}"))
    }

    /// The jobs of a worker that is there, by id, as they are shown.
    pub fn jobs(&self, name: &str) -> Vec<(String, JobKind)> {
        let id = self.worker(name).expect("it is there").id;
        let detail = self.fleet.worker(self.now, &id.0).expect("it is there");
        detail.jobs.into_iter().map(|job| (job.id, job.kind)).collect()
    }

    pub(super) fn check(&mut self, words: &[&str], line: &str) -> Result<(), String> {
        match words {
            ["asked", asked @ ..] => self.check_asked(asked),
            ["queue", queue @ ..] => self.check_queue(queue),
            ["no", "queue", name] => match self.fleet.queues().iter().any(|queue| queue.name == *name) {
                true => Err("there is one".to_owned()),
                false => Ok(()),
            },
            ["notice", ..] => {
                let text = line.split_once("notice").map_or("", |(_, text)| text.trim());
                let found = self.notices.iter().any(|notice| notice.contains(text));
                if found { Ok(()) } else { Err(format!("notices: {:#?}", self.notices)) }
            }
            ["no", "notice", ..] => {
                let text = line.split_once("notice").map_or("", |(_, text)| text.trim());
                let found = self.notices.iter().find(|notice| notice.contains(text));
                found.map_or(Ok(()), |notice| Err(format!("there was {notice}")))
            }
            ["no", "worker", name] => match self.worker(name) {
                Ok(worker) => Err(format!("there is {worker:?}")),
                Err(_) => Ok(()),
            },
            ["workers", n] => {
                let listed = self.fleet.workers(self.now, None, false).unwrap_or_default();
                same("workers", &listed.len().to_string(), n)
            }
            ["drain", name, wanted @ ..] => self.check_drain(name, wanted),
            [conn, "marked"] => same("marked", &self.conn(conn)?.marked, &true),
            [conn, "free"] => same("marked", &self.conn(conn)?.marked, &false),
            [name, wanted @ ..] => {
                let worker = self.worker(name)?;
                wanted.iter().try_for_each(|wanted| check_worker(&worker, wanted))
            }
            [] => Err("nothing to check".to_owned()),
        }
    }

    fn check_drain(&self, name: &str, wanted: &[&str]) -> Result<(), String> {
        let drain = self.fleet.drain_named(self.now, name);
        if wanted == ["nobody"] {
            return same("drain", &drain.is_some(), &false);
        }
        let drain = drain.ok_or("there is no such drain")?;
        for wanted in wanted {
            let text = format!("{drain:?}");
            match wanted.split_once('=') {
                Some(("workers", n)) => same("workers", &drain.workers.len().to_string(), n)?,
                Some(("safe", at)) => same("safe_until", &drain.safe_until, &Some(moment(at)?))?,
                Some(("unknown-since", at)) => {
                    let since = drain.workers.iter().filter_map(|worker| worker.unknown_since).max();
                    same("unknown_since", &since, &Some(moment(at)?))?;
                }
                Some(("starving", queues)) => same("starving", &drain.starving.join(","), queues)?,
                None if *wanted == "over" => same("in_force", &drain.in_force, &false)?,
                None if *wanted == "cannot-tell" => {
                    let told = drain.workers.iter().any(|worker| worker.unknown_since.is_some());
                    same("unknown_since", &told, &true)?;
                }
                None if *wanted == "can-tell" => {
                    let told = drain.workers.iter().any(|worker| worker.unknown_since.is_some());
                    same("unknown_since", &told, &false)?;
                }
                None if wanted.starts_with("hint~") => {
                    let hints: Vec<_> = drain.workers.iter().filter_map(|worker| worker.hint.clone()).collect();
                    let found = hints.iter().any(|hint| hint.contains(&wanted[5..]));
                    same(&format!("{hints:?}"), &found, &true)?;
                }
                None => same(&text, drain.state.as_str(), *wanted)?,
                Some(_) => return Err(format!("cannot check {wanted}")),
            }
            let in_force = drain.in_force;
            if in_force && matches!(drain.state, DrainState::Expired | DrainState::Lifted) {
                return Err("it has ended and is in force".to_owned());
            }
        }
        Ok(())
    }

    pub(super) fn picture(&self) -> String {
        let workers: Vec<String> = self.all().iter().map(|worker| format!("  {worker:?}")).collect();
        let drains: Vec<String> = self.fleet.drains(self.now).iter().map(|drain| format!("  {drain:?}")).collect();
        format!("at {} ms\nworkers:\n{}\ndrains:\n{}", self.now - ZERO, workers.join("\n"), drains.join("\n"))
    }
}

fn check_worker(worker: &WorkerView, wanted: &str) -> Result<(), String> {
    if let Some((field, text)) = wanted.split_once('~') {
        let text = text.replace('_', " ");
        let found = match field {
            "blocked" => worker.blocked.join("; "),
            "name" => worker.name.clone(),
            _ => return Err(format!("cannot check {wanted}")),
        };
        return same(&format!("{found:?} has {text:?}"), &found.contains(&text), &true);
    }
    let Some((field, value)) = wanted.split_once('=') else {
        let facts = [worker.state.as_str(), worker.evidence.as_str(), worker.identity.as_str()];
        let declared = wanted == "declared" && worker.declared;
        let clear = wanted == "unblocked" && worker.blocked.is_empty();
        let known = facts.contains(&wanted) || declared || clear;
        return same(&format!("{wanted} in {facts:?}, blocked {:?}", worker.blocked), &known, &true);
    };
    match field {
        "running" => same(field, &worker.in_flight.running.to_string(), value),
        "prefetched" => same(field, &worker.in_flight.prefetched.to_string(), value),
        "delayed" => same(field, &worker.in_flight.delayed.to_string(), value),
        "held" => same(field, &worker.held.to_string(), value),
        "conns" => same(field, &worker.connections.to_string(), value),
        "system" => same(field, worker.system.as_str(), value),
        "name" => same(field, &worker.name.replace(' ', ""), value),
        "drains" => same(field, &worker.drains.join(","), value),
        "queues" => same(field, &worker.queues.join(","), value),
        "safe" => same(field, &worker.safe_until, &Some(moment(value)?)),
        _ => Err(format!("cannot check {wanted}")),
    }
}

fn same<T: PartialEq<U> + std::fmt::Debug + ?Sized, U: std::fmt::Debug + ?Sized>(
    what: &str,
    found: &T,
    wanted: &U,
) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: expected {wanted:?}, found {found:?}")) }
}
