//! Drains: what operators create, and the marks that they put on workers.
//!
//! ```text
//! in force ──lifted | expired | all its workers gone (done)──▶ readable for an hour ──▶ forgotten
//! ```
//! A name is taken while its drain is in force and one of its workers is present; an ended drain never answers for a new
//! one. Whom a drain marks is the business of [`super::members`].

use super::Fleet;
use super::boundary::{DrainAnswer, DrainError, DrainRequest, Effect, Ending, Notice};
use super::evidence::judge;
use super::open::VirtualHost;
use super::phase::{HOUR, state_of};
use super::selector::Selector;
use super::view::{DrainState, DrainView, WorkerState};
use super::worker::{Worker, WorkerNo};
use crate::job::{Evidence, Millis};
use std::collections::BTreeMap;

/// A drain in force.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) no: u64,
    pub(super) name: String,
    pub(super) request: DrainRequest,
    pub(super) selectors: Vec<Selector>,
    pub(super) created_at: Millis,
    pub(super) expires_at: Option<Millis>,
    pub(super) require: Evidence,
    pub(super) members: Vec<WorkerNo>,
    /// Members that are held until their name is known, and until when at most.
    pub(super) trials: BTreeMap<WorkerNo, Millis>,
    /// Where in `members` the last present one was found.
    pub(super) witness: usize,
}

/// A drain that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Archived {
    pub(super) at: Millis,
    pub(super) view: DrainView,
}

impl Drain {
    /// Whether the worker was there when the drain was made.
    pub(super) fn found_present(&self, worker: &Worker) -> bool {
        worker.since < self.created_at || (worker.since == self.created_at && worker.born < self.no)
    }

    /// The worker is no member any more.
    pub(super) fn remove(&mut self, no: WorkerNo) {
        self.members.retain(|member| *member != no);
        self.trials.remove(&no);
        self.witness = 0;
    }

    fn same_body(&self, request: &DrainRequest) -> bool {
        let body = |request: &DrainRequest| DrainRequest { name: None, dry_run: false, ..request.clone() };
        body(&self.request) == body(request)
    }
}

impl Fleet {
    pub(super) fn make_drain(&mut self, now: Millis, request: &DrainRequest) -> Result<DrainAnswer, DrainError> {
        check(request)?;
        let known = request.name.as_ref().and_then(|name| self.in_force(name));
        let taken = known.filter(|no| self.is_taken(now, *no));
        if let Some(no) = taken {
            return self.repeat(now, no, request);
        }
        let drain = self.plan(now, request)?;
        if request.dry_run {
            return Ok(DrainAnswer { drain: self.drain_view(now, &drain), created: false });
        }
        if let Some(stale) = known {
            self.end_drain(now, stale, Ending::Done);
        }
        let (no, name) = (drain.no, drain.name.clone());
        let members = drain.members.clone();
        self.drains.insert(no, Drain { members: Vec::new(), ..drain });
        for member in &members {
            self.join(now, no, *member);
        }
        self.refresh_pending(now);
        self.save_drains();
        let listed = members.iter().filter(|m| self.workers.get(m).is_some_and(Worker::is_listed)).count();
        self.effects.push(Effect::Notice(Notice::DrainCreated { drain: name, workers: listed }));
        self.answer(now, no, request, true)
    }

    /// The same request again: new matches join.
    fn repeat(&mut self, now: Millis, no: u64, request: &DrainRequest) -> Result<DrainAnswer, DrainError> {
        let Some(drain) = self.drains.get(&no) else {
            return Err(DrainError::NothingMatched(request.selector.join(" ")));
        };
        if !drain.same_body(request) {
            return Err(DrainError::NameTaken(drain.name.clone()));
        }
        let fresh: Vec<WorkerNo> = self.matching(&drain.selectors)?;
        let fresh: Vec<WorkerNo> = fresh.into_iter().filter(|m| !drain.members.contains(m)).collect();
        if request.no_starve {
            self.check_starving(&fresh)?;
        }
        if !request.dry_run && !fresh.is_empty() {
            for member in fresh {
                self.join(now, no, member);
            }
            self.save_drains();
        }
        self.answer(now, no, request, false)
    }

    /// The drain as it stands now.
    fn answer(&self, now: Millis, no: u64, request: &DrainRequest, created: bool) -> Result<DrainAnswer, DrainError> {
        match self.drains.get(&no) {
            Some(drain) => Ok(DrainAnswer { drain: self.drain_view(now, drain), created }),
            None => Err(DrainError::NothingMatched(request.selector.join(" "))),
        }
    }

    /// The drain as it would be, with its members found and nothing marked.
    fn plan(&mut self, now: Millis, request: &DrainRequest) -> Result<Drain, DrainError> {
        let selectors = self.selectors(&request.selector, now)?;
        let members = self.matching(&selectors)?;
        if !request.allow_empty && !self.is_any_there(now, &members) {
            return Err(DrainError::NothingMatched(request.selector.join(" ")));
        }
        if request.no_starve {
            self.check_starving(&members)?;
        }
        let no = self.number();
        Ok(Drain {
            no,
            name: request.name.clone().unwrap_or_else(|| self.free_name(now)),
            request: DrainRequest { dry_run: false, ..request.clone() },
            selectors,
            created_at: now,
            expires_at: request.ttl.end(now, self.settings.default_ttl),
            require: request.require.unwrap_or(self.settings.require),
            members,
            trials: BTreeMap::new(),
            witness: 0,
        })
    }

    fn check_starving(&self, members: &[WorkerNo]) -> Result<(), DrainError> {
        let mut taken: BTreeMap<(&str, &VirtualHost), usize> = BTreeMap::new();
        for worker in members.iter().filter_map(|no| self.workers.get(no)).filter(|worker| worker.open) {
            for queue in &worker.queues {
                *taken.entry((queue, &worker.host)).or_default() += 1;
            }
        }
        let starves = |((queue, host), n): &(&(&str, &VirtualHost), &usize)| self.open.within(queue, host) <= **n;
        let mut starving: Vec<String> =
            taken.iter().filter(starves).map(|((queue, _), _)| (*queue).to_owned()).collect();
        starving.dedup();
        if starving.is_empty() { Ok(()) } else { Err(DrainError::WouldStarve(starving)) }
    }

    fn free_name(&self, now: Millis) -> String {
        let base = format!("drain-{:x}", now);
        let known = |name: &str| {
            self.drains.values().any(|d| d.name == name) || self.archive.iter().any(|a| a.view.name == name)
        };
        if !known(&base) {
            return base;
        }
        (2u32..).map(|n| format!("{base}-{n}")).find(|name| !known(name)).unwrap_or(base)
    }

    fn in_force(&self, name: &str) -> Option<u64> {
        self.drains.values().find(|drain| drain.name == name).map(|drain| drain.no)
    }

    /// One of its workers is present or not yet gone (a standing drain waits for more).
    fn is_taken(&self, now: Millis, no: u64) -> bool {
        let Some(drain) = self.drains.get(&no) else { return false };
        drain.request.standing || self.is_any_there(now, &drain.members)
    }

    fn is_any_there(&self, now: Millis, members: &[WorkerNo]) -> bool {
        let mut listed = members.iter().filter_map(|no| self.workers.get(no)).filter(|worker| worker.is_listed());
        listed.any(|worker| !self.is_gone(now, worker))
    }

    fn is_gone(&self, now: Millis, worker: &Worker) -> bool {
        worker.ended.is_some()
            || (worker.conns.is_empty() && !worker.is_awaited() && {
                let verdict = judge(worker, &self.settings, now);
                state_of(worker, &verdict, self.settings.require, false) == WorkerState::Gone
            })
    }

    // ── the end ──

    /// Asks for the drains to be saved, once per batch of effects.
    pub(super) fn save_drains(&mut self) {
        if !std::mem::replace(&mut self.unsaved, true) {
            self.effects.push(Effect::SaveDrains);
        }
    }

    pub(super) fn lift(&mut self, now: Millis, name: &str) -> bool {
        let Some(no) = self.in_force(name) else { return false };
        self.end_drain(now, no, Ending::Lifted);
        true
    }

    pub(super) fn end_drain(&mut self, now: Millis, no: u64, how: Ending) {
        let Some(drain) = self.drains.get(&no) else { return };
        let mut view = self.drain_view(now, drain);
        view.in_force = false;
        match how {
            Ending::Lifted => view.state = DrainState::Lifted,
            Ending::Expired => view.state = DrainState::Expired,
            Ending::Done => {}
        }
        if how != Ending::Done {
            // its workers take jobs again
            view.starving.clear();
        }
        let Some(drain) = self.drains.remove(&no) else { return };
        for member in &drain.members {
            if let Some(worker) = self.workers.get_mut(member) {
                worker.drains.retain(|d| *d != no);
                self.refresh_marks(now, *member);
            }
        }
        self.refresh_pending(now);
        self.archive.push_back(Archived { at: now, view });
        self.save_drains();
        self.effects.push(Effect::Notice(Notice::DrainEnded { drain: drain.name, how }));
    }

    pub(super) fn drains_due(&mut self, now: Millis) {
        let expired = |drain: &&Drain| drain.expires_at.is_some_and(|at| at <= now);
        let over: Vec<u64> = self.drains.values().filter(expired).map(|drain| drain.no).collect();
        for no in over {
            self.end_drain(now, no, Ending::Expired);
        }
        let trials: Vec<(u64, WorkerNo)> = self
            .drains
            .values()
            .flat_map(|drain| drain.trials.iter().map(|(no, until)| (drain.no, *no, *until)))
            .filter(|(_, _, until)| *until <= now)
            .map(|(drain, no, _)| (drain, no))
            .collect();
        for (drain, no) in trials {
            self.leave(now, drain, no);
            self.save_drains();
        }
        while self.archive.front().is_some_and(|ended| now >= ended.at.saturating_add(HOUR)) {
            self.archive.pop_front();
        }
    }
}

fn check(request: &DrainRequest) -> Result<(), DrainError> {
    if let Some(name) = &request.name {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        // `/v1/drains/..` is another path to every client
        let steps = [".", ".."].contains(&name.as_str());
        if name.is_empty() || name.len() > 100 || steps || !name.chars().all(fits) {
            let text =
                "a drain's name is 1 to 100 letters, digits, dots, dashes or underscores, and not only `.` or `..`";
            return Err(DrainError::BadName(text.to_owned()));
        }
    }
    request.ttl.check("a drain", request.reason.as_deref())?;
    if request.require == Some(Evidence::Unknown) {
        return Err(DrainError::BadRequest("require must be exact, reported or inferred".to_owned()));
    }
    Ok(())
}
