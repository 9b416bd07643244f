//! A process that named itself, from its first word on. One worker can have several: one after the other behind one
//! address, or side by side.

use super::evidence::{sidekiq::SidekiqVoice, voice::CeleryVoice};
use crate::job::{ConnId, Millis, System};

/// The fleet's own number of a [`Life`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LifeNo(pub(super) u64);

/// What one life of a process says about itself, in the words of its job system.
#[derive(Clone, Debug)]
pub(super) enum Voice {
    Celery(CeleryVoice),
    Sidekiq(SidekiqVoice),
    /// A name without reports.
    Silent,
}

/// A process that named itself. Several live ones inside one worker cannot be told apart.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) no: LifeNo,
    pub(super) system: System,
    pub(super) name: String,
    pub(super) first_seen: Millis,
    /// Its last report (its naming, before it reports).
    pub(super) last_seen: Millis,
    /// The connection on which the process said that it had just begun.
    pub(super) born: Option<ConnId>,
    pub(super) voice: Voice,
}

impl Life {
    /// A process that has just named itself.
    pub(super) fn new(no: LifeNo, system: System, name: String, now: Millis) -> Life {
        let voice = match system {
            System::Celery => Voice::Celery(CeleryVoice::default()),
            System::Sidekiq => Voice::Sidekiq(SidekiqVoice::default()),
            _ => Voice::Silent,
        };
        Life { no, system, name, first_seen: now, last_seen: now, born: None, voice }
    }

    /// It goes over to another worker.
    pub(super) fn moved(&mut self) {
        match &mut self.voice {
            Voice::Celery(voice) => voice.moved(),
            Voice::Sidekiq(voice) => voice.moved(),
            Voice::Silent => {}
        }
    }

    /// What it said, if it is a Celery worker.
    pub(super) fn celery(&self) -> Option<&CeleryVoice> {
        if let Voice::Celery(voice) = &self.voice { Some(voice) } else { None }
    }

    pub(super) fn celery_mut(&mut self) -> Option<&mut CeleryVoice> {
        if let Voice::Celery(voice) = &mut self.voice { Some(voice) } else { None }
    }

    /// What it said, if it is a Sidekiq process.
    pub(super) fn sidekiq(&self) -> Option<&SidekiqVoice> {
        if let Voice::Sidekiq(voice) = &self.voice { Some(voice) } else { None }
    }

    pub(super) fn sidekiq_mut(&mut self) -> Option<&mut SidekiqVoice> {
        if let Voice::Sidekiq(voice) = &mut self.voice { Some(voice) } else { None }
    }
}
