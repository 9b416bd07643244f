//! The drains and pauses as text: what the store keeps durably.
//!
//! | record | says |
//! |---|---|
//! | `V` | the version |
//! | `P` | a queue that is paused |
//! | `D` | a drain in force; `S` (selectors) and `M` (members) that follow are its own |
//! | `E` | a drain that has ended; `S` and `F` (its workers as they were) that follow are its own |
//! | `Z` | the end, with the number of records before it: a text without it lacks marks |

use super::text::{Fields, flag, maybe, optional, record};
use super::{VERSION, key_text, parse_key, read_origin};
use crate::fleet::Fleet;
use crate::fleet::boundary::{DrainRequest, Ttl};
use crate::fleet::drains::{Archived, Drain};
use crate::fleet::selector::Selector;
use crate::fleet::view::{DrainState, DrainView, DrainWorker, InFlight, WorkerState};
use crate::fleet::whole::{Adopted, Whole};
use crate::fleet::worker::WorkerNo;
use crate::job::{Evidence, Millis, WorkerId};
use std::collections::BTreeMap;

impl Fleet {
    pub(in crate::fleet) fn drains_text(&self) -> String {
        let mut lines = vec![record('V', &[VERSION])];
        for (name, pause) in self.pauses.iter() {
            let (since, until) = (pause.since.to_string(), optional(pause.until));
            lines.push(record('P', &[name, &since, &until, &maybe(pause.reason.as_deref())]));
        }
        for drain in self.drains.values() {
            self.write_drain(drain, &mut lines);
        }
        for ended in &self.archive {
            write_ended(ended, &mut lines);
        }
        lines.push(end(lines.len()));
        lines.push(String::new());
        lines.join("\n")
    }

    fn write_drain(&self, drain: &Drain, lines: &mut Vec<String>) {
        let request = &drain.request;
        let ttl = match request.ttl {
            Ttl::Usual => "default".to_owned(),
            Ttl::Endless => "-".to_owned(),
            Ttl::For(millis) => millis.to_string(),
        };
        let fields = [
            drain.name.as_str(),
            &drain.created_at.to_string(),
            &optional(drain.expires_at),
            drain.require.as_str(),
            request.require.map_or("-", Evidence::as_str),
            flag(request.name.is_some()),
            &ttl,
            &maybe(request.reason.as_deref()),
            flag(request.delayed_wait),
            flag(request.standing),
            flag(request.allow_empty),
            flag(request.no_starve),
        ];
        lines.push(record('D', &fields));
        lines.extend(request.selector.iter().map(|text| record('S', &[text])));
        for worker in drain.members.iter().filter_map(|no| self.workers.get(no)) {
            let key = key_text(&worker.key);
            let generation = worker.generation.to_string();
            let (since, ip) = (worker.since.to_string(), worker.ip.to_string());
            let fields = [
                worker.id.0.as_str(),
                &key,
                &generation,
                &since,
                &ip,
                &worker.listener,
                worker.protocol.as_str(),
                flag(worker.fetching),
                &optional(drain.trials.get(&worker.no)),
            ];
            lines.push(record('M', &fields));
        }
    }

    pub(in crate::fleet) fn read_drains(&mut self, now: Millis, text: &str) -> Result<(), String> {
        let mut in_ended = false;
        for (index, line) in text.lines().enumerate() {
            self.read_drains_line(now, line, &mut in_ended)
                .map_err(|why| format!("drains line {}: {why}", index + 1))?;
        }
        // what is missing might be the marks of a drain, which would then hold nobody and say `drained`
        let count = text.lines().count();
        if text.lines().last() != Some(&end(count.saturating_sub(1))) {
            return Err(format!("drains line {count}: expected the record of the end: the file is cut off"));
        }
        let all: Vec<WorkerNo> = self.drains.values().flat_map(|drain| drain.members.iter().copied()).collect();
        for no in all {
            if let Some(worker) = self.workers.get_mut(&no) {
                worker.marked_at.get_or_insert(now);
            }
            self.restore(now, no);
        }
        Ok(())
    }

    fn read_drains_line(&mut self, now: Millis, line: &str, in_ended: &mut bool) -> Result<(), String> {
        let (letter, mut fields) = Fields::of(line)?;
        match letter {
            "V" => fields.version(),
            "D" => {
                *in_ended = false;
                self.read_drain(&mut fields)
            }
            "E" => {
                *in_ended = true;
                self.archive.push_back(read_ended(&mut fields)?);
                Ok(())
            }
            "P" => {
                let name = fields.text("a queue's name")?;
                let (since, until) = (fields.moment("a time")?, fields.optional("a time")?);
                self.pauses.restore(name, since, until, fields.maybe("a reason")?);
                Ok(())
            }
            "S" => self.read_selector(&mut fields, *in_ended),
            "M" => self.read_member(now, &mut fields),
            "F" => {
                let worker = read_final(&mut fields)?;
                let ended = self.archive.back_mut().ok_or("expected a drain before its worker")?;
                ended.view.workers.push(worker);
                Ok(())
            }
            "Z" => Ok(()),
            other => Err(format!("expected a record, found the letter {other:?}")),
        }
    }

    fn read_drain(&mut self, fields: &mut Fields<'_>) -> Result<(), String> {
        let name = fields.text("a drain's name")?;
        let created_at = fields.moment("a time")?;
        let expires_at = fields.optional("a time")?;
        let require = fields.evidence()?;
        let asked = fields.text("an evidence")?;
        let named = fields.flag("whether the name was given")?;
        let ttl = fields.text("a ttl")?;
        let ttl = match ttl.as_str() {
            "default" => Ttl::Usual,
            "-" => Ttl::Endless,
            number => Ttl::For(number.parse().map_err(|_| format!("expected a ttl, found {number:?}"))?),
        };
        let request = DrainRequest {
            selector: Vec::new(),
            name: named.then(|| name.clone()),
            ttl,
            reason: fields.maybe("a reason")?,
            require: Evidence::from_name(&asked),
            delayed_wait: fields.flag("delayed")?,
            standing: fields.flag("standing")?,
            allow_empty: fields.flag("allow empty")?,
            no_starve: fields.flag("no starve")?,
            dry_run: false,
        };
        let no = self.number();
        let (selectors, members, trials) = (Vec::new(), Vec::new(), BTreeMap::new());
        let drain =
            Drain { no, name, request, selectors, created_at, expires_at, require, members, trials, witness: 0 };
        self.drains.insert(no, drain);
        Ok(())
    }

    fn read_selector(&mut self, fields: &mut Fields<'_>, in_ended: bool) -> Result<(), String> {
        let text = fields.text("a selector")?;
        if let Some(ended) = self.archive.back_mut().filter(|_| in_ended) {
            ended.view.selector.push(text);
            return Ok(());
        }
        let drain = self.drains.values_mut().last().ok_or("expected a drain before its selector")?;
        // a name with odd characters was taken literally; whoever has it is among the members
        let selector = Selector::parse(&text, drain.created_at).unwrap_or_else(|_| Selector::exactly(&text));
        drain.selectors.push(selector);
        drain.request.selector.push(text);
        Ok(())
    }

    fn read_member(&mut self, now: Millis, fields: &mut Fields<'_>) -> Result<(), String> {
        let id = WorkerId(fields.text("a worker's id")?);
        let key = parse_key(&fields.text("a key")?)?;
        let generation = fields.parse("a generation")?;
        let since = fields.moment("a time")?;
        let origin = read_origin(fields)?;
        let fetching = fields.flag("fetching")?;
        let trial = fields.optional("a time")?;
        let drain = self.drains.values().last().ok_or("expected a drain before its member")?.no;
        let no = match self.ids.get(&id.0) {
            Some(no) => *no,
            None => {
                let no = self.create_as(now, id, key, generation, origin);
                if let Some(worker) = self.workers.get_mut(&no) {
                    worker.since = since;
                    worker.fetching = fetching;
                    worker.whole = Whole::No(Adopted::Restart);
                }
                no
            }
        };
        let (Some(d), Some(worker)) = (self.drains.get_mut(&drain), self.workers.get_mut(&no)) else { return Ok(()) };
        if !worker.drains.contains(&drain) {
            d.members.push(no);
            worker.drains.push(drain);
            d.trials.extend(trial.map(|until| (no, until)));
        }
        Ok(())
    }
}

fn end(before: usize) -> String {
    record('Z', &[&before.to_string()])
}

fn write_ended(ended: &Archived, lines: &mut Vec<String>) {
    let view = &ended.view;
    let fields = [
        view.name.as_str(),
        &ended.at.to_string(),
        &view.created_at.to_string(),
        &optional(view.expires_at),
        view.state.as_str(),
        view.require.as_str(),
        flag(view.standing),
        &maybe(view.reason.as_deref()),
    ];
    lines.push(record('E', &fields));
    lines.extend(view.selector.iter().map(|text| record('S', &[text])));
    for worker in &view.workers {
        let jobs = worker.in_flight;
        let fields = [
            worker.id.0.as_str(),
            &worker.name,
            worker.state.as_str(),
            worker.evidence.as_str(),
            &jobs.running.to_string(),
            &jobs.prefetched.to_string(),
            &jobs.delayed.to_string(),
        ];
        lines.push(record('F', &fields));
    }
}

fn read_ended(fields: &mut Fields<'_>) -> Result<Archived, String> {
    let name = fields.text("a drain's name")?;
    let at = fields.moment("a time")?;
    let created_at = fields.moment("a time")?;
    let expires_at: Option<Millis> = fields.optional("a time")?;
    let state = fields.word("a state", &DrainState::ALL, DrainState::as_str)?;
    let view = DrainView {
        name,
        selector: Vec::new(),
        created_at,
        expires_at,
        state,
        estimate: None,
        in_force: false,
        safe_until: None,
        require: fields.evidence()?,
        standing: fields.flag("standing")?,
        reason: fields.maybe("a reason")?,
        workers: Vec::new(),
        starving: Vec::new(),
    };
    Ok(Archived { at, view })
}

fn read_final(fields: &mut Fields<'_>) -> Result<DrainWorker, String> {
    let id = WorkerId(fields.text("a worker's id")?);
    let name = fields.text("a name")?;
    let state = fields.word("a state", &WorkerState::ALL, WorkerState::as_str)?;
    let evidence = fields.evidence()?;
    let running = fields.parse("a count")?;
    let (prefetched, delayed) = (fields.parse("a count")?, fields.parse("a count")?);
    Ok(DrainWorker {
        id,
        name,
        state,
        in_flight: InFlight { running, prefetched, delayed },
        evidence,
        blocked: Vec::new(),
        unknown_since: None,
        hint: None,
        oldest_job_seconds: None,
        jobs: Vec::new(),
        estimate: None,
    })
}
