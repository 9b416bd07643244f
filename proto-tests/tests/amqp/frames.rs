//! AMQP frames as text: a second, independent writer of what the gate reads. One line, one frame:
//!
//! ```text
//! 1 open                     1 consume q t no_ack x-stream-offset=first
//! 1 deliver t 5              1 header 3 id=abc task=app.add eta=2026-.. offset=41
//! 1 body abc                 1 message t 5 abc id=x      (deliver, header and body in one go)
//! 0 heartbeat                1 close 404 60/20
//! ```
//! A tag, queue or other name of `-` is the empty one.

/// The bytes of a line; several frames for `message` and `send`.
pub fn encode(line: &str) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["raw", hex @ ..] = words.as_slice() {
        return hex.concat().as_bytes().chunks(2).map(hex_byte).collect();
    }
    if words == ["greeting"] {
        return Ok(b"AMQP\x00\x00\x09\x01".to_vec());
    }
    let [channel, name, args @ ..] = words.as_slice() else { return Err(format!("not a frame: {line}")) };
    let channel: u16 = channel.parse().map_err(|_| format!("not a channel: {channel}"))?;
    match (*name, args) {
        ("heartbeat", []) => Ok(frame(8, channel, &[])),
        ("header", [size, rest @ ..]) => Ok(frame(2, channel, &header(size.parse().map_err(|_| "a size")?, rest))),
        ("body", rest) => Ok(frame(3, channel, rest.join(" ").as_bytes())),
        ("message", [tag, number, body, rest @ ..]) => {
            let (flags, properties): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| **word == "redelivered");
            let deliver = method(&[&["deliver", tag, number], flags.as_slice()].concat())?;
            Ok(content(channel, &deliver, body, &properties))
        }
        ("send", [exchange, key, body, rest @ ..]) => {
            let publish = method(&["publish", exchange, key])?;
            Ok(content(channel, &publish, body, rest))
        }
        ("send-nothing", [key]) => {
            let header = Payload::of(60, 0).longlong(0).short(0).0;
            Ok([frame(1, channel, &method(&["publish", "-", key])?), frame(2, channel, &header)].concat())
        }
        _ => Ok(frame(1, channel, &method(&words[1..])?)),
    }
}

fn content(channel: u16, method: &[u8], body: &str, properties: &[&str]) -> Vec<u8> {
    let body = if body == "-" { "" } else { body };
    let mut bytes = frame(1, channel, method);
    bytes.extend(frame(2, channel, &header(body.len() as u64, properties)));
    if !body.is_empty() {
        bytes.extend(frame(3, channel, body.as_bytes()));
    }
    bytes
}

fn hex_byte(pair: &[u8]) -> Result<u8, String> {
    let text = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
    u8::from_str_radix(text, 16).map_err(|error| error.to_string())
}

/// A frame of any kind.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}

/// A payload in the making.
struct Payload(Vec<u8>);

impl Payload {
    fn of(class: u16, method: u16) -> Payload {
        Payload([class.to_be_bytes(), method.to_be_bytes()].concat())
    }

    fn name(mut self, text: &str) -> Payload {
        let text = if text == "-" { "" } else { text };
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self
    }

    fn short(mut self, number: u16) -> Payload {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn long(mut self, number: u32) -> Payload {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn longlong(mut self, number: u64) -> Payload {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn bits(mut self, flags: &[&str], names: &[&str]) -> Payload {
        let bits = names.iter().enumerate().filter(|(_, name)| flags.contains(name)).map(|(at, _)| 1 << at);
        self.0.push(bits.sum());
        self
    }

    fn text(mut self, text: &[u8]) -> Payload {
        self.0.extend((text.len() as u32).to_be_bytes());
        self.0.extend(text);
        self
    }
}

/// A table of the words `key=value` among `words`: numbers, true and false, texts.
fn table(words: &[&str]) -> Vec<u8> {
    let mut entries = Vec::new();
    for (key, value) in words.iter().filter_map(|word| word.split_once('=')) {
        entries.push(key.len() as u8);
        entries.extend(key.as_bytes());
        match (value, value.parse::<i64>()) {
            ("true" | "false", _) => entries.extend([b't', u8::from(value == "true")]),
            ("null", _) => entries.push(b'V'),
            (_, Ok(number)) => {
                entries.push(b'l');
                entries.extend(number.to_be_bytes());
            }
            _ => {
                entries.push(b'S');
                entries.extend((value.len() as u32).to_be_bytes());
                entries.extend(value.as_bytes());
            }
        }
    }
    [(entries.len() as u32).to_be_bytes().to_vec(), entries].concat()
}

/// A content header: `correlation=`, `message=` and `type=` are properties, anything else is a header; `offset=` is
/// short for x-stream-offset.
fn header(size: u64, words: &[&str]) -> Vec<u8> {
    let property = |name: &str| words.iter().find_map(|w| w.strip_prefix(name));
    let headers: Vec<String> = words
        .iter()
        .filter(|w| !["correlation=", "message=", "type="].iter().any(|p| w.starts_with(p)))
        .map(|w| w.strip_prefix("offset=").map_or((*w).to_owned(), |n| format!("x-stream-offset={n}")))
        .collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut flags: u16 = 1 << 15 | 1 << 12;
    let mut properties = Payload(Vec::new()).name("text/plain").0;
    if !headers.is_empty() {
        flags |= 1 << 13;
        properties.extend(table(&headers));
    }
    properties.push(2);
    for (name, bit) in [("correlation=", 10), ("message=", 7), ("type=", 5)] {
        if let Some(value) = property(name) {
            flags |= 1 << bit;
            properties.extend(Payload(Vec::new()).name(value).0);
        }
    }
    let mut payload = Payload::of(60, 0).longlong(size).short(flags).0;
    payload.extend(properties);
    payload
}

fn method(words: &[&str]) -> Result<Vec<u8>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("not a number: {text}"));
    let payload = match words {
        ["open"] => Payload::of(20, 10).name("-"),
        ["flow", on] => Payload::of(20, 20).bits(&[*on], &["on"]),
        ["flow-ok", on] => Payload::of(20, 21).bits(&[*on], &["on"]),
        ["open-ok"] => Payload::of(20, 11).long(0),
        ["close", code, what, text @ ..] => {
            let (class, method) = what.split_once('/').ok_or("class/method")?;
            let (class, method) = (number(class)? as u16, number(method)? as u16);
            let text = match text {
                [] if *code == "200" => "done".to_owned(),
                [] => "NOT_FOUND".to_owned(),
                text => text.join(" "),
            };
            Payload::of(20, 40).short(number(code)? as u16).name(&text).short(class).short(method)
        }
        ["close-ok"] => Payload::of(20, 41),
        ["declare", queue, rest @ ..] => {
            let bits = ["passive", "durable", "exclusive", "auto_delete", "nowait"];
            let mut declare = Payload::of(50, 10).short(0).name(queue).bits(rest, &bits).0;
            declare.extend(table(rest));
            Payload(declare)
        }
        ["declare-ok", queue] => Payload::of(50, 11).name(queue).long(0).long(0),
        ["declare-ok", queue, consumers] => Payload::of(50, 11).name(queue).long(0).long(number(consumers)? as u32),
        ["bind", queue, exchange] => {
            Payload::of(50, 20).short(0).name(queue).name(exchange).name("k").bits(&[], &[]).long(0)
        }
        ["bind-ok"] => Payload::of(50, 21),
        ["delete", queue] => Payload::of(50, 40).short(0).name(queue).bits(&[], &[]),
        ["delete-ok"] => Payload::of(50, 41).long(0),
        _ => match connection(words)? {
            Some(payload) => payload,
            None => return basic(words),
        },
    };
    Ok(payload.0)
}

/// Of the class connection.
fn connection(words: &[&str]) -> Result<Option<Payload>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("not a number: {text}"));
    Ok(Some(match words {
        ["start"] => {
            Payload(Payload::of(10, 10).0.into_iter().chain([0, 9]).collect()).long(0).text(b"PLAIN").text(b"en")
        }
        ["start-ok", rest @ ..] => {
            let named: Vec<&str> = rest.iter().filter(|w| w.starts_with("connection_name=")).copied().collect();
            let user = rest.iter().find_map(|w| w.strip_prefix("user=")).unwrap_or("guest");
            let properties = table(&named);
            let mut start = Payload::of(10, 11).0;
            start.extend(properties);
            let plain = format!("\0{user}\0guest").into_bytes();
            let (mechanism, response) = match rest.iter().find_map(|w| w.strip_prefix("mechanism=")) {
                // the entries of a table, without its length
                Some("AMQPLAIN") => ("AMQPLAIN", table(&[&format!("LOGIN={user}"), "PASSWORD=guest"]).split_off(4)),
                Some("EXTERNAL") => ("EXTERNAL", Vec::new()),
                _ => ("PLAIN", plain),
            };
            Payload(start).name(mechanism).text(&response).name("en_US")
        }
        ["tune"] => Payload::of(10, 30).short(2047).long(131_072).short(60),
        ["tune-ok", rest @ ..] => {
            let most = rest.first().map_or(Ok(2047), |n| number(n))?;
            let frame = rest.get(1).map_or(Ok(131_072), |n| number(n))?;
            Payload::of(10, 31).short(most as u16).long(frame as u32).short(60)
        }
        ["connection.open"] => Payload::of(10, 40).name("/").name("-").bits(&[], &[]),
        ["connection.open", host] => Payload::of(10, 40).name(host).name("-").bits(&[], &[]),
        ["connection.open-ok"] => Payload::of(10, 41).name("-"),
        ["connection.close"] => Payload::of(10, 50).short(200).name("bye").short(0).short(0),
        ["connection.close", code, text @ ..] => {
            Payload::of(10, 50).short(number(code)? as u16).name(&text.join(" ")).short(0).short(0)
        }
        ["connection.close-ok"] => Payload::of(10, 51),
        ["connection.blocked"] => Payload::of(10, 60).name("memory"),
        ["connection.unblocked"] => Payload::of(10, 61),
        _ => return Ok(None),
    }))
}

fn basic(words: &[&str]) -> Result<Vec<u8>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("not a number: {text}"));
    let payload = match words {
        ["qos", count, rest @ ..] => Payload::of(60, 10).long(0).short(number(count)? as u16).bits(rest, &["global"]),
        ["qos-ok"] => Payload::of(60, 11),
        ["consume", queue, tag, rest @ ..] => {
            let bits = ["no_local", "no_ack", "exclusive", "nowait"];
            let mut consume = Payload::of(60, 20).short(0).name(queue).name(tag).bits(rest, &bits).0;
            consume.extend(table(rest));
            Payload(consume)
        }
        ["consume-ok", tag] => Payload::of(60, 21).name(tag),
        ["cancel", tag, rest @ ..] => Payload::of(60, 30).name(tag).bits(rest, &["nowait"]),
        ["cancel-ok", tag] => Payload::of(60, 31).name(tag),
        ["publish", exchange, key] => Payload::of(60, 40).short(0).name(exchange).name(key).bits(&[], &[]),
        ["return"] => Payload::of(60, 50).short(312).name("NO_ROUTE").name("-").name("k"),
        ["deliver", tag, n, rest @ ..] => {
            Payload::of(60, 60).name(tag).longlong(number(n)?).bits(rest, &["redelivered"]).name("-").name("q")
        }
        ["get", queue, rest @ ..] => Payload::of(60, 70).short(0).name(queue).bits(rest, &["no_ack"]),
        ["get-ok", n, rest @ ..] => {
            Payload::of(60, 71).longlong(number(n)?).bits(rest, &["redelivered"]).name("-").name("q").long(0)
        }
        ["get-empty"] => Payload::of(60, 72).name("-"),
        ["ack", n, rest @ ..] => Payload::of(60, 80).longlong(number(n)?).bits(rest, &["multiple"]),
        ["reject", n, rest @ ..] => Payload::of(60, 90).longlong(number(n)?).bits(rest, &["requeue"]),
        ["recover-async"] => Payload(Payload::of(60, 100).0.into_iter().chain([1]).collect()),
        ["recover", "keep"] => Payload(Payload::of(60, 110).0.into_iter().chain([0]).collect()),
        ["recover"] => Payload(Payload::of(60, 110).0.into_iter().chain([1]).collect()),
        ["recover-ok"] => Payload::of(60, 111),
        ["nack", n, rest @ ..] => Payload::of(60, 120).longlong(number(n)?).bits(rest, &["multiple", "requeue"]),
        ["confirm.select"] => Payload::of(85, 10).bits(&[], &[]),
        ["confirm.select-ok"] => Payload::of(85, 11),
        ["tx.select"] => Payload::of(90, 10),
        ["tx.select-ok"] => Payload::of(90, 11),
        ["tx.commit"] => Payload::of(90, 20),
        ["tx.commit-ok"] => Payload::of(90, 21),
        ["tx.rollback"] => Payload::of(90, 30),
        ["tx.rollback-ok"] => Payload::of(90, 31),
        _ => return Err(format!("no such method: {}", words.join(" "))),
    };
    Ok(payload.0)
}

/// What bytes are, for people: one line a frame, what is no frame in hex.
pub fn describe(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let size = bytes.get(3..7).map(|s| u32::from_be_bytes([s[0], s[1], s[2], s[3]]) as usize);
        let Some(frame) = size.and_then(|size| bytes.get(..size + 8)) else {
            lines.push(format!("raw {bytes:02x?}"));
            break;
        };
        let channel = u16::from_be_bytes([frame[1], frame[2]]);
        let payload = &frame[7..frame.len() - 1];
        let what = match frame[0] {
            1 if payload.len() >= 4 => {
                format!("{}/{} {:?}", payload[1], payload[3], String::from_utf8_lossy(&payload[4..]))
            }
            2 => "header".to_owned(),
            3 => format!("body {:?}", String::from_utf8_lossy(payload)),
            8 => "heartbeat".to_owned(),
            other => format!("frame {other}"),
        };
        lines.push(format!("{channel} {what}"));
        bytes = &bytes[frame.len()..];
    }
    lines
}
