//! How the rest of the gate reaches one connection: a word of flags that the connection's task looks at after every
//! read, and a way to wake it.

use crate::job::System;
use crate::question::Question;
use crate::queue::PausedQueues;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

const MARKED: u32 = 1;
const HOLD: u32 = 2;
const STOP: u32 = 4;
const STOP_NOW: u32 = 8;
const CONFIRM: u32 = 16;
const ASK: u32 = 32;
const WAIT: u32 = 64;
const SYSTEM_SHIFT: u32 = 8;
const SYSTEM_MASK: u32 = 0xff << SYSTEM_SHIFT;
/// Counts the changes of the set of paused queues.
const PAUSES_SHIFT: u32 = 16;
const PAUSES_ONE: u32 = 1 << PAUSES_SHIFT;

/// Shared by a connection's task and the hub.
#[derive(Debug, Default)]
pub struct Handle {
    flags: AtomicU32,
    /// `None`: nothing ever was.
    paused: Mutex<Option<Arc<PausedQueues>>>,
    question: Mutex<Option<Question>>,
    waker: Mutex<Option<Waker>>,
}

/// The flags at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// Whether fetches are to be held: by a drain, or because the gate is leaving.
    pub fn marked(self) -> bool {
        self.0 & (MARKED | HOLD) != 0
    }

    /// A mark was set since [`Handle::confirming`], and somebody waits to hear that it is in force.
    pub fn asks_to_confirm(self) -> bool {
        self.0 & CONFIRM != 0
    }

    /// There is a question, see [`Handle::take_question`].
    pub fn asks(self) -> bool {
        self.0 & ASK != 0
    }

    /// The client gets no answer to what was told last, see [`crate::fleet::Effect::Wait`].
    pub fn waits(self) -> bool {
        self.0 & WAIT != 0
    }

    /// The connection is to be closed at its next safe boundary.
    pub fn stopping(self) -> bool {
        self.0 & STOP != 0
    }

    /// The connection is to be closed now.
    pub fn stopping_now(self) -> bool {
        self.0 & STOP_NOW != 0
    }

    /// Differs if the set of paused queues has changed.
    pub fn pauses(self) -> u32 {
        self.0 >> PAUSES_SHIFT
    }

    /// The worker's job system.
    pub fn system(self) -> System {
        System::ALL.get((self.0 >> SYSTEM_SHIFT & 0xff) as usize).copied().unwrap_or_default()
    }
}

impl Handle {
    /// The flags now. Called after a read, it sees every mark that was answered before the bytes were sent.
    pub fn flags(&self) -> Flags {
        Flags(self.flags.load(Ordering::SeqCst))
    }

    /// Sets or lifts the mark.
    pub fn set_mark(&self, marked: bool) {
        self.change(|flags| if marked { flags | MARKED | CONFIRM } else { flags & !(MARKED | CONFIRM) });
    }

    /// The mark is about to be taken over and confirmed. A mark set from now on asks anew.
    pub fn confirming(&self) {
        self.flags.fetch_and(!CONFIRM, Ordering::SeqCst);
    }

    /// Tells the worker's job system.
    pub fn set_system(&self, system: System) {
        self.change(|flags| flags & !SYSTEM_MASK | (system as u32) << SYSTEM_SHIFT);
    }

    /// Hands the set of paused queues over.
    pub fn set_paused(&self, paused: Arc<PausedQueues>) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(paused);
        self.change(|flags| flags.wrapping_add(PAUSES_ONE));
    }

    /// The set of paused queues, not older than the flags that were read before.
    pub fn paused(&self) -> Arc<PausedQueues> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Hands a question over for the process behind the connection; an older one is forgotten.
    pub fn ask(&self, question: Question) {
        *self.question.lock().unwrap_or_else(PoisonError::into_inner) = Some(question);
        self.change(|flags| flags | ASK);
    }

    /// The question, once.
    pub fn take_question(&self) -> Option<Question> {
        self.flags.fetch_and(!ASK, Ordering::SeqCst);
        self.question.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets the client's answer wait, or no longer.
    pub fn set_waiting(&self, waits: bool) {
        self.change(|flags| if waits { flags | WAIT } else { flags & !WAIT });
    }

    /// Holds fetches because the gate is leaving, whatever the drains say.
    pub fn hold(&self) {
        self.change(|flags| flags | HOLD);
    }

    /// Closes the connection at its next safe boundary.
    pub fn stop(&self) {
        self.change(|flags| flags | HOLD | STOP);
    }

    /// Closes the connection now.
    pub fn stop_now(&self) {
        self.change(|flags| flags | HOLD | STOP | STOP_NOW);
    }

    /// Says whom to wake when a flag changes.
    pub fn register(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn change(&self, change: impl Fn(u32) -> u32) {
        let before = self.flags.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |flags| Some(change(flags)));
        if before.is_ok_and(|before| change(before) == before) {
            return;
        }
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_do_not_touch_each_other() {
        let handle = Handle::default();
        assert_eq!(handle.flags(), Flags::default());
        for system in System::ALL.into_iter().chain([System::Unknown, System::Sidekiq]) {
            handle.set_system(system);
            assert_eq!(handle.flags().system(), system);
        }
        handle.set_mark(true);
        assert!(handle.flags().marked() && !handle.flags().stopping() && handle.flags().asks_to_confirm());
        handle.confirming();
        assert!(handle.flags().marked() && !handle.flags().asks_to_confirm());
        handle.set_mark(false);
        assert!(!handle.flags().marked());
        handle.hold();
        handle.set_mark(false);
        assert!(handle.flags().marked());
        let paused = Arc::new(PausedQueues::new(1, ["q".to_owned()]));
        handle.set_paused(paused.clone());
        assert!(handle.flags().pauses() == 1 && handle.paused() == paused && !handle.flags().stopping());
        (0..0xffff).for_each(|_| handle.set_paused(paused.clone()));
        assert_eq!(handle.flags().pauses(), 0);
        assert!(!handle.flags().asks() && handle.take_question().is_none());
        handle.ask(Question { nonce: 1, number: 2, lists: &[] });
        assert!(handle.flags().asks());
        assert_eq!(handle.take_question().map(|question| question.number), Some(2));
        assert!(!handle.flags().asks() && handle.take_question().is_none());
        handle.stop_now();
        assert!(handle.flags().stopping() && handle.flags().stopping_now());
        assert_eq!(handle.flags().system(), System::Sidekiq);
    }
}
