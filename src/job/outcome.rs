//! How jobs end, one by one or several at a time.

/// How a job left the worker, as the broker confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, well or badly: the job system will not run it again by itself.
    Finished,
    /// Given back to the queue by the worker.
    Requeued,
}

/// See [`super::JobEvent::Settled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// As [`super::JobEvent::Acked`] says of one.
    Acked,
    /// As [`super::JobEvent::Ended`] says of one.
    Ended(Outcome),
}
