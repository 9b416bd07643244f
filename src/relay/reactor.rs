//! One thread that drives many connections: it waits for the kernel, notes what is ready, and gives each connection that
//! has news one turn. No task is scheduled and nothing is locked on the way of a byte. A connection is a [`Life`].
//! News of the kernel come first: of the thousands that a drain wakes, or whose time is up together, only some have their
//! turn between two looks at the kernel.
//!
//! ```text
//! entered ──registered──▶ slot ──turns: kernel, timer, waker──▶ over ──▶ closed by itself
//!                         │  ▲
//!      facts to be told ──▼  │── resumed: those of all that are parked have been told together
//!                        parked ──the fleet is busy: told a little later──▶ parked
//! a panic, in a turn or while its facts are told ──▶ dropped: it ends connections, never the thread
//! ```

use super::socket::Socket;
use crate::hub::{Clock, Tell};
use crate::job::{ConnId, JobEvent, Millis};
use mio::event::Event;
use mio::{Events, Poll, Token};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use std::{io, mem};

/// Reported by the kernel at once, at most.
const EVENTS: usize = 1_024;
/// Turns that the kernel has not called for, between two looks at it, at most: a third of a millisecond.
const CALLED: usize = 64;
/// What could not be told is tried again so soon,
const PUT_OFF: Duration = Duration::from_millis(1);
/// and so often; then it is waited for.
const PUT_OFF_AT_MOST: u32 = 200;
/// Another thread has called.
const CALLS: Token = Token(usize::MAX);

/// What a reactor drives.
pub trait Life: Send {
    /// The sockets to be watched.
    fn sockets(&mut self) -> [&mut Socket; 2];
    /// Does what can be done now. It is not earlier than `now`.
    fn turn(&mut self, now: Millis, cx: &mut Context<'_>) -> Turn;
    /// It is parked: appends what it has to tell. Others may do so too before it is told. True if it must know, before it
    /// goes on, who has left.
    fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) -> bool;
    /// What it handed over has been told: goes on. `asked`: its sockets have been noted as the kernel knew them then, which
    /// is so if any of those that were parked wanted it.
    fn resume(&mut self, now: Millis, cx: &mut Context<'_>, asked: bool) -> Turn;
    /// When it wants its next turn whatever happens, if it has not said so before.
    fn timer(&mut self) -> Option<Millis>;
    /// It is over, and its sockets are not watched any more.
    fn close(self: Box<Self>);
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It waits for news.
    Waits,
    /// It has something to tell first: [`Life::hand_over`], then [`Life::resume`].
    Parked,
    /// That was the end: then [`Life::close`] comes.
    Over,
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
    next: Next,
}

/// What a connection has coming.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    /// Another thread, or its timer, has called.
    Later,
    /// The kernel has news of it.
    Turn,
    /// It is parked. Its news are looked at when it is resumed.
    Resume,
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
    /// At the last look at the kernel.
    now: Millis,
    caller: Caller,
    /// Another thread has called.
    called: bool,
    slots: Slab<Slot>,
    entered: u64,
    timers: BinaryHeap<Reverse<(Millis, Resident)>>,
    /// Slots that have a turn coming: [`Next::Turn`].
    turns: Vec<usize>,
    /// Those whose turn comes later, in their order. Some may have had it since.
    later: VecDeque<usize>,
    /// Slots with something to tell.
    parked: Vec<usize>,
    /// Empty, but for its room, unless those in it are being resumed.
    resuming: Vec<usize>,
    /// So many of them have handed over what they have to tell,
    handed: usize,
    /// and one of them must know who has left.
    wary: bool,
    /// How often it could not be told.
    put_off: u32,
    tell: Tell,
    /// Empty, but for its room, while nothing is told.
    facts: Vec<(ConnId, JobEvent)>,
}

impl Reactor {
    /// A reactor without connections, and how to reach it.
    pub(super) fn new(clock: Clock, tell: Tell) -> io::Result<(Reactor, Caller)> {
        let poll = Poll::new()?;
        let rouse = Rouse { called: AtomicBool::new(false), waker: mio::Waker::new(poll.registry(), CALLS)? };
        let caller = Caller { calls: Arc::default(), rouse: Arc::new(rouse) };
        let reactor = Reactor {
            poll,
            clock,
            now: clock.now(),
            caller: caller.clone(),
            called: false,
            slots: Slab::new(),
            entered: 0,
            timers: BinaryHeap::new(),
            turns: Vec::new(),
            later: VecDeque::new(),
            parked: Vec::new(),
            resuming: Vec::new(),
            handed: 0,
            wary: false,
            put_off: 0,
            tell,
            facts: Vec::new(),
        };
        Ok((reactor, caller))
    }

    /// Drives connections until it is told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut looked = false;
        loop {
            // what the kernel reported while facts were told is news enough
            if !looked || self.turns.is_empty() {
                self.look(&mut events, self.patience())?;
            }
            if mem::take(&mut self.called) && self.heed_calls() {
                return Ok(());
            }
            self.heed_timers();
            self.call_some();
            let (now, mut turns) = (self.now, mem::take(&mut self.turns));
            turns.drain(..).for_each(|slot| self.give_turn(slot, |life, cx| life.turn(now, cx)));
            // its room is kept
            turns.append(&mut self.turns);
            self.turns = turns;
            looked = !self.parked.is_empty() && self.tell_together(&mut events)?;
        }
    }

    /// How long there is nothing to do unless the kernel has news. `None`: for ever.
    fn patience(&self) -> Option<Duration> {
        let unheard = self.parked.len() > self.handed;
        if self.called || !self.turns.is_empty() || !self.later.is_empty() || unheard {
            return Some(Duration::ZERO);
        }
        let until = |at: Millis| Duration::from_millis(at.saturating_sub(self.clock.now()));
        let timer = self.timers.peek().map(|Reverse((at, _))| until(*at));
        let again = (self.handed > 0).then_some(PUT_OFF);
        [timer, again].into_iter().flatten().min()
    }

    /// Waits for the kernel's news and notes them. False if there was no room for more: it may know of others.
    fn look(&mut self, events: &mut Events, patience: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(events, patience) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => (),
        }
        self.now = self.clock.now();
        let mut number = 0;
        for event in &*events {
            number += 1;
            match event.token() {
                CALLS => self.called = true,
                Token(token) => self.note(token / 2, token % 2, event),
            }
        }
        Ok(number < EVENTS)
    }

    /// Tells what the parked have to tell, looks who has left meanwhile if one of them must know, and lets them go on. If it
    /// cannot be told at the moment all of them wait, and nobody else does. True if it has looked at the kernel.
    fn tell_together(&mut self, events: &mut Events) -> io::Result<bool> {
        let (slots, facts, tell, wary) = (&mut self.slots, &mut self.facts, &self.tell, &mut self.wary);
        let (unheard, at_once) = (&self.parked[self.handed..], self.put_off >= PUT_OFF_AT_MOST);
        let told = catch_unwind(AssertUnwindSafe(|| {
            for key in unheard {
                if let Some(slot) = slots.get_mut(*key) {
                    *wary |= slot.life.hand_over(facts);
                }
            }
            tell(facts, at_once)
        }));
        if matches!(told, Ok(false)) {
            self.handed = self.parked.len();
            self.put_off += 1;
            return Ok(false);
        }
        let wary = mem::take(&mut self.wary);
        (self.handed, self.put_off) = (0, 0);
        let mut parked = mem::replace(&mut self.parked, mem::take(&mut self.resuming));
        // none of what was not told may go on
        self.facts.clear();
        if told.is_err() {
            parked.into_iter().for_each(|slot| self.remove(slot, false));
            return Ok(false);
        }
        let asked = wary && self.look(events, Some(Duration::ZERO))?;
        let now = self.now;
        parked.drain(..).for_each(|slot| self.give_turn(slot, |life, cx| life.resume(now, cx, asked)));
        self.resuming = parked;
        Ok(wary)
    }

    fn note(&mut self, key: usize, side: usize, event: &Event) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.life.sockets()[side].note(event);
        self.due(key, Next::Turn);
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
        entry.insert(Slot { life, waker, number: resident.number, next: Next::Nothing });
        self.due(resident.slot, Next::Later);
        Ok(())
    }

    fn heed_timers(&mut self) {
        while let Some(Reverse((at, resident))) = self.timers.peek().copied()
            && at <= self.now
        {
            self.timers.pop();
            self.due_if(resident);
        }
    }

    fn due_if(&mut self, resident: Resident) {
        if self.slots.get(resident.slot).is_some_and(|slot| slot.number == resident.number) {
            self.due(resident.slot, Next::Later);
        }
    }

    fn due(&mut self, key: usize, wanted: Next) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        match (slot.next, wanted) {
            (Next::Nothing, Next::Later) => self.later.push_back(key),
            (Next::Nothing | Next::Later, Next::Turn) => self.turns.push(key),
            _ => return,
        }
        slot.next = wanted;
    }

    /// Some of those that are called for later have their turn now.
    fn call_some(&mut self) {
        let some = self.later.len().min(CALLED);
        let slots = &self.slots;
        let still = |key: &usize| slots.get(*key).is_some_and(|slot| slot.next == Next::Later);
        self.turns.extend(self.later.drain(..some).filter(still));
    }

    fn give_turn(&mut self, key: usize, turn: impl FnOnce(&mut dyn Life, &mut Context<'_>) -> Turn) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.next = Next::Nothing;
        let mut cx = Context::from_waker(&slot.waker);
        match catch_unwind(AssertUnwindSafe(|| turn(&mut *slot.life, &mut cx))) {
            Ok(Turn::Waits) => {
                let resident = Resident { slot: key, number: slot.number };
                if let Some(at) = slot.life.timer() {
                    self.timers.push(Reverse((at, resident)));
                }
            }
            Ok(Turn::Parked) => {
                slot.next = Next::Resume;
                self.parked.push(key);
            }
            Ok(Turn::Over) => self.remove(key, true),
            Err(_) => self.remove(key, false),
        }
    }

    /// `orderly`: it knows that it is over.
    fn remove(&mut self, key: usize, orderly: bool) {
        let Some(mut slot) = self.slots.try_remove(key) else { return };
        for socket in slot.life.sockets() {
            // closing it ends the watch too
            let _ = socket.deregister(self.poll.registry());
        }
        // what has panicked once may do so again when it is dropped
        let _ = catch_unwind(AssertUnwindSafe(|| if orderly { slot.life.close() } else { drop(slot.life) }));
    }
}
