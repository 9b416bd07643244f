//! What queues, messages and publishes on AMQP 0-9-1 mean: whose a queue is, what a delivered message says of the job in
//! it, what a worker tells by publishing.
//!
//! Measured with the clients of Celery 5.7, Dramatiq, aio-pika, taskiq, amqplib, Bunny and others against RabbitMQ 3.10
//! and 4.0: a job queue is neither exclusive nor named by the server, and its consumers acknowledge; everything else that
//! is consumed is remote control, events and replies, and must never be touched.

use super::celery;
use super::json::{Skim, Wanted};
use crate::job::{Job, JobEvent, JobKey, Millis, System};
use std::sync::Arc;

/// Dramatiq's suffix of the queues in which jobs wait for their time.
const DELAY_QUEUE: &str = ".DQ";

/// Nameko's queues for the answers to a service's own calls (2.14): durable and acknowledged, as those of its jobs, which
/// wait for them.
const NAMEKO_REPLIES: &[u8] = b"rpc.reply-";

/// What a queue.declare said of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Of this connection only.
    pub exclusive: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// `x-expires`: deleted when unused for a while.
    pub expires: bool,
    /// `x-single-active-consumer`.
    pub single_active: bool,
}

/// What a consumer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Jobs.
    Job,
    /// Anything else: it is never touched.
    Control,
}

/// Whether who reads this queue takes jobs. `attributes` are known if it was declared on the same connection.
pub fn role(queue: &[u8], attributes: Option<Attributes>, no_ack: bool) -> Role {
    let attributes = attributes.unwrap_or_default();
    let control = attributes.exclusive
        || (no_ack && attributes.auto_delete)
        || queue.is_empty()
        || queue.starts_with(b"amq.gen-")
        || queue.starts_with(b"amq.rabbitmq.reply-to")
        || is_celery_control(queue)
        || queue.starts_with(NAMEKO_REPLIES);
    if control { Role::Control } else { Role::Job }
}

/// Celery's remote control, its replies and its events.
fn is_celery_control(queue: &[u8]) -> bool {
    queue.ends_with(b".pidbox") || queue.starts_with(b"celeryev.")
}

/// What asking for this queue's messages tells about who asks. `known`: the worker's job system.
pub fn consumed(queue: &[u8], known: System, out: &mut Vec<JobEvent>) {
    if known == System::Unknown && queue.ends_with(DELAY_QUEUE.as_bytes()) {
        // each consumer of Dramatiq's has one beside its queue: an idle worker is known by it
        out.push(JobEvent::Recognised(System::Dramatiq));
    }
    let Some(name) = queue.strip_suffix(b".celery.pidbox") else { return };
    out.push(JobEvent::Recognised(System::Celery));
    if !name.ends_with(b".reply") {
        let name = String::from_utf8_lossy(name).into_owned();
        out.push(JobEvent::Named { system: System::Celery, name });
    }
}

/// The parts of a message that say which job it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// Header `id`.
    pub id: Option<&'a str>,
    /// Header `task`.
    pub task: Option<&'a str>,
    /// Header `eta`.
    pub eta: Option<&'a str>,
    /// Headers `task_id` and `task_name` (taskiq).
    pub taskiq: (Option<&'a str>, Option<&'a str>),
    /// Property `message-id`.
    pub message_id: Option<&'a [u8]>,
    /// Property `correlation-id`.
    pub correlation_id: Option<&'a [u8]>,
    /// Property `type`.
    pub kind: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// A text among a message's headers; the first of each name counts.
    pub fn header(&mut self, key: &[u8], text: &'a [u8]) {
        let field = match key {
            b"id" => &mut self.id,
            b"task" => &mut self.task,
            b"eta" => &mut self.eta,
            b"task_id" => &mut self.taskiq.0,
            b"task_name" => &mut self.taskiq.1,
            _ => return,
        };
        if field.is_none() {
            *field = std::str::from_utf8(text).ok();
        }
    }
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(bytes?).ok()
}

/// The job in a message as far as its header says, and the job system that made it, if that shows.
#[inline]
pub fn job(key: JobKey, queue: &Arc<str>, message: &Message<'_>) -> (System, Job) {
    let (system, id, name) = match (message.id, message.task, message.taskiq.0.zip(message.taskiq.1)) {
        (Some(id), Some(task), _) => (System::Celery, Some(id), Some(task)),
        (_, _, Some((id, task))) => (System::Taskiq, Some(id), Some(task)),
        (id, task, None) => {
            let id = id.or_else(|| text(message.message_id)).or_else(|| text(message.correlation_id));
            (System::Unknown, id, task.or_else(|| text(message.kind)))
        }
    };
    let (id, name) = (id.unwrap_or_default().to_owned(), name.unwrap_or_default().to_owned());
    let eta = message.eta.and_then(celery::instant);
    (system, Job { key, id, name, queue: queue.clone(), eta })
}

/// What a body is read for.
pub const BODY: Wanted = Wanted::of(&["queue_name", "actor_name", "message_id", "options.eta"]);
/// What a result is read for.
pub const STATUS: Wanted = celery::STATUS;

/// Whether the body has to be read for a job whose header tells no job system: Dramatiq's says everything there, and
/// nothing else. `known`: the worker's.
pub fn is_in_body(known: System, told: System) -> bool {
    told == System::Unknown && matches!(known, System::Unknown | System::Dramatiq)
}

/// Whether a body that begins like this may say anything: nothing but JSON does.
pub fn may_tell(beginning: &[u8]) -> bool {
    beginning.first().is_none_or(|first| matches!(first, b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n'))
}

/// Completes a job with what was found in its body, and says whose it is, if that shows. What waits in a `.DQ` queue is
/// pushed on by the worker when it is due, and acknowledged then.
pub fn read_body(job: &mut Job, body: &Skim) -> System {
    let canonical = |queue: &str| queue.strip_suffix(DELAY_QUEUE).unwrap_or(queue).to_owned();
    let (Some(queue), Some(actor), Some(id)) = (body.get("queue_name"), body.get("actor_name"), body.get("message_id"))
    else {
        return System::Unknown;
    };
    if canonical(queue) != canonical(&job.queue) {
        return System::Unknown;
    }
    (job.id, job.name) = (id.to_owned(), actor.to_owned());
    job.eta = body.get("options.eta").and_then(|eta| eta.parse::<f64>().ok()).map(|eta| eta as Millis);
    System::Dramatiq
}

/// Whether a publish with this exchange and routing key is a worker's event.
pub fn is_worker_event(exchange: &[u8], routing_key: &[u8]) -> bool {
    exchange == b"celeryev" && routing_key.starts_with(b"worker.")
}

/// Reads a worker's event.
pub fn worker_event(body: &[u8], out: &mut Vec<JobEvent>) {
    celery::event_body(body, out);
}

/// Whether the beginning of a result says that it ends its job for good.
pub fn says_terminal(result: &[u8]) -> bool {
    celery::says_terminal(result)
}

/// Whether the status of a result ends its job for good.
pub fn is_terminal(status: &str) -> bool {
    celery::TERMINAL.contains(&status)
}
