//! One thread that drives many connections: it waits for the kernel, notes what is ready, and gives each connection that
//! has news one turn. No task is scheduled and nothing is locked on the way of a byte. A connection is a [`Life`].
//!
//! ```text
//! entered ──registered──▶ slot ──turns: kernel, timer, waker──▶ over ──▶ closed by itself
//!                          └─panic──▶ dropped: it ends one connection, never the thread
//! ```

use super::socket::Socket;
use crate::hub::Clock;
use crate::job::Millis;
use mio::event::Event;
use mio::{Events, Poll, Token};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use std::{io, mem};

/// Reported by the kernel at once, at most.
const EVENTS: usize = 1_024;
/// Another thread has called.
const CALLS: Token = Token(usize::MAX);

/// What a reactor drives.
pub trait Life: Send {
    /// The sockets to be watched.
    fn sockets(&mut self) -> [&mut Socket; 2];
    /// Does what can be done now. True if that was the end: then [`Life::close`] comes.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool;
    /// When it wants its next turn whatever happens, if it has not said so before.
    fn timer(&mut self) -> Option<Millis>;
    /// It is over, and its sockets are not watched any more.
    fn close(self: Box<Self>);
}

/// Names a connection among those of one reactor, past ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resident {
    slot: usize,
    /// Which of the connections that had the slot.
    number: u64,
}

struct Slot {
    life: Box<dyn Life>,
    waker: Waker,
    number: u64,
    /// Has a turn coming.
    due: bool,
}

/// What other threads want of a reactor.
#[derive(Default)]
struct Calls {
    arrivals: Vec<Box<dyn Life>>,
    woken: Vec<Resident>,
    stop: bool,
}

/// How other threads reach a reactor.
#[derive(Clone)]
pub(super) struct Caller {
    calls: Arc<Mutex<Calls>>,
    rouse: Arc<Rouse>,
}

/// Gets the thread out of its waiting, once for many calls.
struct Rouse {
    called: AtomicBool,
    waker: mio::Waker,
}

impl Caller {
    /// Hands a connection over.
    pub(super) fn enter(&self, life: Box<dyn Life>) {
        self.call(|calls| calls.arrivals.push(life));
    }

    /// Ends all connections at once, and the thread.
    pub(super) fn stop(&self) {
        self.call(|calls| calls.stop = true);
    }

    fn call(&self, say: impl FnOnce(&mut Calls)) {
        say(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.rouse.called.swap(true, Ordering::SeqCst)
            && let Err(error) = self.rouse.waker.wake()
        {
            tracing::error!(%error, "a thread cannot be woken");
        }
    }

    fn take(&self) -> Calls {
        self.rouse.called.store(false, Ordering::SeqCst);
        mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection's waker.
struct Bell {
    caller: Caller,
    resident: Resident,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.caller.call(|calls| calls.woken.push(self.resident));
    }
}

/// See the module.
pub(super) struct Reactor {
    poll: Poll,
    clock: Clock,
    caller: Caller,
    slots: Slab<Slot>,
    entered: u64,
    timers: BinaryHeap<Reverse<(Millis, Resident)>>,
    /// Slots that have a turn coming.
    turns: Vec<usize>,
}

impl Reactor {
    /// A reactor without connections, and how to reach it.
    pub(super) fn new(clock: Clock) -> io::Result<(Reactor, Caller)> {
        let poll = Poll::new()?;
        let rouse = Rouse { called: AtomicBool::new(false), waker: mio::Waker::new(poll.registry(), CALLS)? };
        let caller = Caller { calls: Arc::default(), rouse: Arc::new(rouse) };
        let (slots, timers) = (Slab::new(), BinaryHeap::new());
        Ok((Reactor { poll, clock, caller: caller.clone(), slots, entered: 0, timers, turns: Vec::new() }, caller))
    }

    /// Drives connections until it is told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let wait = self.timers.peek().map(|Reverse((at, _))| at.saturating_sub(self.clock.now()));
            match self.poll.poll(&mut events, wait.map(Duration::from_millis)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => (),
            }
            let mut called = false;
            for event in &events {
                match event.token() {
                    CALLS => called = true,
                    Token(token) => self.note(token / 2, token % 2, event),
                }
            }
            let now = self.clock.now();
            if called && self.heed_calls() {
                return Ok(());
            }
            self.heed_timers(now);
            let mut turns = mem::take(&mut self.turns);
            turns.drain(..).for_each(|slot| self.turn(slot));
            // its room is kept
            turns.append(&mut self.turns);
            self.turns = turns;
        }
    }

    fn note(&mut self, key: usize, side: usize, event: &Event) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.life.sockets()[side].note(event);
        self.due(key);
    }

    /// True if this is the end.
    fn heed_calls(&mut self) -> bool {
        let Calls { arrivals, woken, stop } = self.caller.take();
        for life in arrivals {
            if let Err(error) = self.enter(life) {
                tracing::error!(%error, "a connection cannot be watched and is closed");
            }
        }
        woken.into_iter().for_each(|resident| self.due_if(resident));
        stop
    }

    fn enter(&mut self, mut life: Box<dyn Life>) -> io::Result<()> {
        self.entered += 1;
        let entry = self.slots.vacant_entry();
        let resident = Resident { slot: entry.key(), number: self.entered };
        for (side, socket) in life.sockets().into_iter().enumerate() {
            socket.register(self.poll.registry(), Token(2 * resident.slot + side))?;
        }
        let waker = Waker::from(Arc::new(Bell { caller: self.caller.clone(), resident }));
        entry.insert(Slot { life, waker, number: resident.number, due: false });
        self.due(resident.slot);
        Ok(())
    }

    fn heed_timers(&mut self, now: Millis) {
        while let Some(Reverse((at, resident))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            self.due_if(resident);
        }
    }

    fn due_if(&mut self, resident: Resident) {
        if self.slots.get(resident.slot).is_some_and(|slot| slot.number == resident.number) {
            self.due(resident.slot);
        }
    }

    fn due(&mut self, slot: usize) {
        let Some(Slot { due, .. }) = self.slots.get_mut(slot) else { return };
        if !mem::replace(due, true) {
            self.turns.push(slot);
        }
    }

    fn turn(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.due = false;
        let mut cx = Context::from_waker(&slot.waker);
        let ended = catch_unwind(AssertUnwindSafe(|| slot.life.turn(&mut cx)));
        match ended {
            Ok(false) => {
                let resident = Resident { slot: key, number: slot.number };
                if let Some(at) = slot.life.timer() {
                    self.timers.push(Reverse((at, resident)));
                }
            }
            over => {
                let mut slot = self.slots.remove(key);
                for socket in slot.life.sockets() {
                    // closing it ends the watch too
                    let _ = socket.deregister(self.poll.registry());
                }
                // what has panicked once may do so again when it is dropped
                let _ =
                    catch_unwind(AssertUnwindSafe(|| if over.is_ok() { slot.life.close() } else { drop(slot.life) }));
            }
        }
    }
}
