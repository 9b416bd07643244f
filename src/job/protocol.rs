//! What brokers speak.

/// What a listener, its workers and its broker speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RESP: Redis and Valkey.
    Redis,
    /// AMQP 0-9-1: RabbitMQ.
    Amqp,
}

impl Protocol {
    /// Both.
    pub const ALL: [Protocol; 2] = [Protocol::Redis, Protocol::Amqp];

    /// The name in the API and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Redis => "redis",
            Protocol::Amqp => "amqp",
        }
    }

    /// Where its brokers listen, by TLS or without.
    pub fn default_port(self, tls: bool) -> u16 {
        match (self, tls) {
            // Redis has no port of its own for TLS, whatever its clients are told
            (Protocol::Redis, _) => 6379,
            (Protocol::Amqp, false) => 5672,
            (Protocol::Amqp, true) => 5671,
        }
    }
}
