//! A job has come: what its header and, if it must be, its body say of it is told before its last byte goes on.

use super::channel::{Arriving, Channel, Tap};
use super::table::{Properties, Value};
use crate::dialect::amqp as dialect;
use crate::dialect::amqp::Message;
use crate::dialect::json::Skim;
use crate::gate::Action;
use crate::job::{FetchEnd, Job, JobEvent, JobKey, Place, System};

/// Read of a body at most, of one that may be anything.
pub(super) const TAP_MAX: usize = 16 * 1024;

/// Tells of the jobs of one channel.
pub(super) struct Teller<'a> {
    pub(super) seed: u64,
    /// The channel's.
    pub(super) number: u16,
    /// The worker's, as far as known.
    pub(super) system: &'a mut System,
}

impl Teller<'_> {
    /// The header of a job has come: it is told now, unless its body has to be read first.
    #[inline]
    pub(super) fn arrives(
        &mut self,
        channel: &mut Channel,
        arriving: &Arriving,
        properties: &Properties<'_>,
        left: u64,
        out: &mut Vec<Action>,
    ) -> Option<Tap> {
        let &Arriving { tag, consumer, ref queue, again } = arriving;
        let &Properties { message_id, correlation_id, kind, headers } = properties;
        let mut message = Message { message_id, correlation_id, kind, ..Message::default() };
        let mut offset = None;
        for (key, raw) in headers.raw() {
            if key == b"x-stream-offset" {
                offset.get_or_insert_with(|| raw.value());
            } else if let Some(text) = raw.text() {
                message.header(key, text);
            }
        }
        if let Some(Value::Integer(offset)) = offset {
            channel.read_to(consumer, offset);
        }
        let key = JobKey::Delivery { seed: self.seed, channel: self.number, tag };
        let (system, job) = dialect::job(key, queue, &message);
        if left > 0 && dialect::is_in_body(*self.system, system) {
            // one that may be anything is not worth reading through
            let room = if *self.system == System::Unknown { TAP_MAX } else { usize::MAX };
            return Some(Tap::Job { tag, consumer, again, job, skim: Skim::new(dialect::BODY), room });
        }
        self.delivered(channel, (tag, consumer, again), system, job, out);
        None
    }

    /// The body of a job has been read, too.
    pub(super) fn read(&mut self, channel: &mut Channel, tap: Tap, out: &mut Vec<Action>) {
        if let Tap::Job { tag, consumer, again, mut job, skim, .. } = tap {
            let system = dialect::read_body(&mut job, &skim);
            self.delivered(channel, (tag, consumer, again), system, job, out);
        }
    }

    /// A job is about to reach the worker.
    #[inline(always)]
    fn delivered(
        &mut self,
        channel: &mut Channel,
        (tag, consumer, again): (u64, u32, bool),
        system: System,
        job: Job,
        out: &mut Vec<Action>,
    ) {
        if system != System::Unknown && *self.system == System::Unknown {
            *self.system = system;
            out.push(Action::Event(JobEvent::Recognised(system)));
        }
        if again && !job.id.is_empty() {
            let (id, queue) = (job.id.clone(), job.queue.clone());
            out.push(Action::Event(JobEvent::HandedOutAgain { id, queue }));
        }
        out.push(Action::Event(JobEvent::Delivered(job)));
        channel.unacked.delivered(tag, consumer);
        if consumer == 0 {
            // not sooner: what is neither asked for nor in flight would be called drained
            let (from, end) = (Place::Broker, FetchEnd::Job);
            out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: false }));
        }
    }
}
