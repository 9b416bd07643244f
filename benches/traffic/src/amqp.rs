//! Frames of AMQP 0-9-1 as bytes: the few that a worker and its broker exchange all day.

/// What a client says first.
pub const GREETING: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// The largest frame that is agreed on.
pub const FRAME_MAX: usize = 131_072;
/// The kind of frame that carries a method.
pub const METHOD: u8 = 1;
/// The kind of frame that carries a content header.
pub const HEADER: u8 = 2;
/// The kind of frame that carries a body.
pub const BODY: u8 = 3;
/// Octets around a payload.
pub const AROUND: usize = 8;

/// Class and method, as they stand at the start of a payload.
pub mod method {
    pub const START: u32 = 10 << 16 | 10;
    pub const START_OK: u32 = 10 << 16 | 11;
    pub const TUNE: u32 = 10 << 16 | 30;
    pub const TUNE_OK: u32 = 10 << 16 | 31;
    pub const OPEN: u32 = 10 << 16 | 40;
    pub const OPEN_OK: u32 = 10 << 16 | 41;
    pub const CHANNEL_OPEN: u32 = 20 << 16 | 10;
    pub const CHANNEL_OPEN_OK: u32 = 20 << 16 | 11;
    pub const DECLARE: u32 = 50 << 16 | 10;
    pub const DECLARE_OK: u32 = 50 << 16 | 11;
    pub const QOS: u32 = 60 << 16 | 10;
    pub const QOS_OK: u32 = 60 << 16 | 11;
    pub const CONSUME: u32 = 60 << 16 | 20;
    pub const CONSUME_OK: u32 = 60 << 16 | 21;
    pub const CANCEL: u32 = 60 << 16 | 30;
    pub const CANCEL_OK: u32 = 60 << 16 | 31;
    pub const PUBLISH: u32 = 60 << 16 | 40;
    pub const DELIVER: u32 = 60 << 16 | 60;
    pub const ACK: u32 = 60 << 16 | 80;
    pub const CLOSE: u32 = 10 << 16 | 50;
    pub const CHANNEL_CLOSE: u32 = 20 << 16 | 40;
    pub const CHANNEL_CLOSE_OK: u32 = 20 << 16 | 41;
}

/// A payload, or a part of one, in the making.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Vec<u8>);

impl Fields {
    /// The start of a method.
    pub fn of(method: u32) -> Fields {
        Fields(method.to_be_bytes().to_vec())
    }

    /// One octet.
    pub fn octet(mut self, number: u8) -> Fields {
        self.0.push(number);
        self
    }

    /// Two octets.
    pub fn short(mut self, number: u16) -> Fields {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Four octets.
    pub fn long(mut self, number: u32) -> Fields {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Eight octets.
    pub fn longlong(mut self, number: u64) -> Fields {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A short string.
    pub fn name(mut self, text: &str) -> Fields {
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self
    }

    /// A long string, or a table of entries.
    pub fn text(mut self, bytes: &[u8]) -> Fields {
        self.0.extend((bytes.len() as u32).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// The entry of a table that holds a text.
    pub fn entry(self, key: &str, value: &str) -> Fields {
        self.name(key).octet(b'S').text(value.as_bytes())
    }

    /// The entry of a table that holds nothing.
    pub fn void(self, key: &str) -> Fields {
        self.name(key).octet(b'V')
    }

    /// The frame with this method as its payload.
    pub fn frame(&self, channel: u16) -> Vec<u8> {
        frame(METHOD, channel, &self.0)
    }
}

/// A frame.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + AROUND);
    bytes.push(kind);
    bytes.extend(channel.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}

/// basic.cancel.
pub fn is_cancel(frame: &[u8]) -> bool {
    frame.get(7..11) == Some(&[0, 60, 0, 30])
}

/// The answer to basic.cancel: cancel-ok, with the tag as it is.
pub fn cancelled(cancel: &[u8]) -> Vec<u8> {
    let mut answer = cancel[..cancel.len() - 2].to_vec();
    answer.push(0xCE);
    answer[6] -= 1;
    answer[10] = 31;
    answer
}

/// The properties of a message.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    flags: u16,
    fields: Fields,
}

impl Properties {
    /// What a plain client says: a content type, and that it is to be kept or not.
    pub fn plain(persistent: bool) -> Properties {
        let fields = Fields::default().name("application/octet-stream").octet(1 + u8::from(persistent));
        Properties { flags: 1 << 15 | 1 << 12, fields }
    }

    /// What Celery says, with the entries of its headers.
    pub fn celery(headers: &Fields, correlation: &str, reply: &str) -> Properties {
        let fields = Fields::default().name("application/json").name("utf-8").text(&headers.0);
        let fields = fields.octet(2).octet(0).name(correlation).name(reply);
        Properties { flags: 1 << 15 | 1 << 14 | 1 << 13 | 1 << 12 | 1 << 11 | 1 << 10 | 1 << 9, fields }
    }
}

/// The header and the bodies of a message.
pub fn content(channel: u16, properties: &Properties, body: &[u8]) -> Vec<u8> {
    let header = Fields::default().short(60).short(0).longlong(body.len() as u64).short(properties.flags);
    let mut bytes = frame(HEADER, channel, &[header.0, properties.fields.0.clone()].concat());
    for piece in body.chunks(FRAME_MAX - AROUND) {
        bytes.extend(frame(BODY, channel, piece));
    }
    bytes
}

/// basic.publish with its message.
pub fn publish(channel: u16, exchange: &str, key: &str, properties: &Properties, body: &[u8]) -> Vec<u8> {
    let method = Fields::of(method::PUBLISH).short(0).name(exchange).name(key).octet(0);
    [method.frame(channel), content(channel, properties, body)].concat()
}

/// basic.deliver with its message.
pub fn deliver(channel: u16, consumer: &str, tag: u64, queue: &str, properties: &Properties, body: &[u8]) -> Vec<u8> {
    let method = Fields::of(method::DELIVER).name(consumer).longlong(tag).octet(0).name("").name(queue);
    [method.frame(channel), content(channel, properties, body)].concat()
}

/// Where the delivery tag stands in [`deliver`].
pub fn tag_in_deliver(consumer: &str) -> usize {
    AROUND - 1 + 4 + 1 + consumer.len()
}

/// basic.ack.
pub fn ack(channel: u16, tag: u64, multiple: bool) -> Vec<u8> {
    Fields::of(method::ACK).longlong(tag).octet(u8::from(multiple)).frame(channel)
}

/// Where the delivery tag stands in [`ack`].
pub const TAG_IN_ACK: usize = AROUND - 1 + 4;

/// basic.qos for each consumer of the channel.
pub fn qos(channel: u16, prefetch: u16) -> Vec<u8> {
    Fields::of(method::QOS).long(0).short(prefetch).octet(0).frame(channel)
}

/// queue.declare: not exclusive, not deleted by itself.
pub fn declare(channel: u16, queue: &str, durable: bool) -> Vec<u8> {
    Fields::of(method::DECLARE).short(0).name(queue).octet(u8::from(durable) << 1).text(b"").frame(channel)
}

/// basic.consume.
pub fn consume(channel: u16, queue: &str, consumer: &str, no_ack: bool) -> Vec<u8> {
    let bits = u8::from(no_ack) << 1;
    Fields::of(method::CONSUME).short(0).name(queue).name(consumer).octet(bits).text(b"").frame(channel)
}

/// The answers of a broker to the beginning of a connection and of a channel, by what it is asked.
pub fn answer(channel: u16, asked: u32, queue: &str, consumer: &str) -> Option<Vec<u8>> {
    let tuning = |method| Fields::of(method).short(2047).long(FRAME_MAX as u32).short(0);
    Some(match asked {
        method::START_OK => tuning(method::TUNE).frame(0),
        method::OPEN => Fields::of(method::OPEN_OK).octet(0).frame(0),
        method::CHANNEL_OPEN => Fields::of(method::CHANNEL_OPEN_OK).text(b"").frame(channel),
        method::DECLARE => Fields::of(method::DECLARE_OK).name(queue).long(0).long(0).frame(channel),
        method::QOS => Fields::of(method::QOS_OK).frame(channel),
        method::CONSUME => Fields::of(method::CONSUME_OK).name(consumer).frame(channel),
        _ => return None,
    })
}

/// connection.start.
pub fn start() -> Vec<u8> {
    let properties = Fields::default().entry("product", "canned");
    Fields::of(method::START).octet(0).octet(9).text(&properties.0).text(b"PLAIN").text(b"en_US").frame(0)
}

/// What a client sends until its connection is open, after the greeting: start-ok, then tune-ok and open.
pub fn opening(user: &str) -> [Vec<u8>; 2] {
    let plain = format!("\0{user}\0guest");
    let properties = Fields::default().entry("product", "load");
    let start_ok = Fields::of(method::START_OK).text(&properties.0).name("PLAIN").text(plain.as_bytes()).name("en_US");
    let tune_ok = Fields::of(method::TUNE_OK).short(2047).long(FRAME_MAX as u32).short(0);
    let open = Fields::of(method::OPEN).name("/").name("").octet(0);
    [start_ok.frame(0), [tune_ok.frame(0), open.frame(0)].concat()]
}

/// channel.open.
pub fn channel_open(channel: u16) -> Vec<u8> {
    Fields::of(method::CHANNEL_OPEN).name("").frame(channel)
}
