//! Celery's remote control as far as the gate uses it: its questions `active`, `reserved`, `scheduled` and `registered`, and
//! the answers.
//! Read in kombu's and Celery's sources, 5.3 and 5.7, and measured with both.
//!
//! A worker answers each message in its mailbox whose `destination` it is (or that has none), in their order, by
//! publishing `{"w1@host": [task, ..]}` to the exchange and routing key in `reply_to`. With the exchange "" nothing is
//! declared and no binding looked up: on Redis it is one LPUSH.
//!
//! A task stands in `active` before its early ack goes out, and leaves it only when its pool has handed its result back,
//! behind `after_return` and chord counting: both in one thread (prefork: the main process' loop; threads, gevent: the
//! task's own). The solo pool runs the task in that loop, and answers when it is over.

use super::json::{Skim, Wanted};
use crate::question::{List, Question};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memchr_iter, memmem};

/// What is read of a task in a list of them.
const TASK: Wanted = Wanted::of(&["id", "request.id"]);

/// The routing keys of who listens to events, under any name of their exchange.
const EVENTS: [&[u8]; 4] = [b"/*", b"/#", b"/worker.*", b"/task.*"];

/// Whether remote control comes by this channel (`/0.celery.pidbox`) or queue (`w1@host.celery.pidbox`).
pub fn is_mailbox(name: &[u8]) -> bool {
    name.ends_with(b".pidbox") && !name.ends_with(b".reply.celery.pidbox") && !name.iter().any(|c| b"*?[\\".contains(c))
}

/// The exchange whose messages come by this channel, if they may be tasks: kombu publishes those of fanout exchanges (a
/// `Broadcast` queue) as `/0.exchange` or `/0.exchange/routing-key`, behind a prefix if there is one. Remote control and
/// events come in the same way.
pub fn fanout(channel: &[u8]) -> Option<&[u8]> {
    let behind = |at: usize| {
        let name = &channel[at + 1..];
        let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        name[digits..].strip_prefix(b".").filter(|_| digits > 0)
    };
    let name = memchr_iter(b'/', channel).find_map(behind)?;
    let exchange = &name[..memchr(b'/', name).unwrap_or(name.len())];
    let event = exchange == b"celeryev" || EVENTS.iter().any(|key| name[exchange.len()..] == **key);
    (!event && !exchange.is_empty() && !exchange.ends_with(b".pidbox")).then_some(exchange)
}

/// The question as the mailbox takes it. With `safe` the arguments of active tasks come shortened and as text: others may
/// be of any length, or nothing that JSON can hold.
pub fn question(question: &Question, list: List) -> String {
    let (command, address) = (list.command(), question.address(list));
    let arguments = match list {
        List::Active => r#"{"safe": true}"#,
        List::Registered => r#"{"taskinfoitems": ["Strategy", "acks_late"]}"#,
        List::Scheduled | List::Reserved => "{}",
    };
    format!(
        r#"{{"method": "{command}", "arguments": {arguments}, "destination": null, "pattern": null, "matcher": null, "ticket": "{address}", "reply_to": {{"exchange": "", "routing_key": "{address}"}}}}"#
    )
}

/// The same in the envelope that kombu puts on Redis.
pub fn enveloped_question(asked: &Question, list: List) -> String {
    let (body, tag) = (STANDARD.encode(question(asked, list)), asked.address(list));
    format!(
        r#"{{"body": "{body}", "content-encoding": "utf-8", "content-type": "application/json", "headers": {{}}, "properties": {{"delivery_mode": 2, "delivery_info": {{"exchange": "celery.pidbox", "routing_key": ""}}, "priority": 0, "body_encoding": "base64", "delivery_tag": "{tag}"}}}}"#
    )
}

/// An [`answer`] in kombu's envelope.
pub fn enveloped_answer(list: List, message: &[u8]) -> Option<Vec<String>> {
    answer(list, &STANDARD.decode(super::celery::text_member(message, b"\"body\"")?).ok()?)
}

/// What an answer lists (see [`crate::question::Answer`]); `None` if it cannot be read, or a task has no id.
pub fn answer(list: List, body: &[u8]) -> Option<Vec<String>> {
    let at = memmem::find(body, b"[")?;
    // {"name": and nothing else before; a name with a bracket in it cannot be read
    let mut before = body[..at].trim_ascii().strip_prefix(b"{")?.strip_suffix(b":")?.trim_ascii().iter();
    if before.next() != Some(&b'"') || before.next_back() != Some(&b'"') || before.any(|c| *c == b'"') {
        return None;
    }
    let (tasks, rest) = elements(&body[at + 1..])?;
    if rest.trim_ascii() != b"}" {
        return None;
    }
    if list == List::Registered {
        return Some(tasks.into_iter().filter_map(own_way).collect());
    }
    let id = |task: &&[u8]| {
        let skim = Skim::of(TASK, task);
        skim.get("id").or(skim.get("request.id")).filter(|id| !id.is_empty()).map(str::to_owned)
    };
    tasks.iter().map(id).collect()
}

/// The name of a task (`"app.add [Strategy=celery.worker.strategy:default acks_late=False]"`, or the name alone if it has
/// neither) that the worker does not begin as it does others, and acknowledges at its start.
fn own_way(task: &[u8]) -> Option<String> {
    let has = |text: &str| memmem::find(task, text.as_bytes()).is_some();
    let own = has("[Strategy=") && !has("[Strategy=celery.worker.strategy:default") && !has("acks_late=True]");
    let name = &task[..memmem::find(task, b" [").unwrap_or(task.len())];
    own.then(|| String::from_utf8_lossy(name).trim_matches('"').to_owned())
}

/// The elements of the list whose inside begins here, and what comes behind it.
fn elements(text: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let (mut found, mut from, mut depth) = (Vec::new(), 0, 0_u32);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b']' | b',' if depth == 0 => {
                let element = text[from..at].trim_ascii();
                from = at + 1;
                if !element.is_empty() {
                    found.push(element);
                } else if *byte == b',' || !found.is_empty() {
                    return None;
                }
                if *byte == b']' {
                    return Some((found, &text[from..]));
                }
            }
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        answer(List::Active, text.as_bytes())
    }

    #[test]
    fn tasks_with_a_way_of_their_own_are_found() {
        let registered = |tasks: &str| answer(List::Registered, format!(r#"{{"celery@w1": [{tasks}]}}"#).as_bytes());
        let usual = r#""a.add [Strategy=celery.worker.strategy:default acks_late=False]", "a.plain""#;
        let batches = r#"<bound method Batches.Strategy of <@task: a.many of a at 0x7f8a>>"#;
        assert_eq!(registered(usual), Some(vec![]));
        assert_eq!(registered(""), Some(vec![]));
        let early = format!(r#"{usual}, "a.many [Strategy={batches} acks_late=False]""#);
        assert_eq!(registered(&early), Some(vec!["a.many".to_owned()]));
        let late = format!(r#"{usual}, "a.many [Strategy={batches} acks_late=True]""#);
        assert_eq!(registered(&late), Some(vec![]));
        assert_eq!(registered(r#"{"error": "no"}, "#), None);
    }

    #[test]
    fn the_ids_in_an_answer_are_read() {
        assert_eq!(read(r#"{"celery@w1": []}"#), Some(vec![]));
        let task = |id: &str| {
            format!(
                r#"{{"id": "{id}", "name": "a", "args": "('}}]\"', {{'id': 1}})", "kwargs": {{"id": "no"}}, "ack": true}}"#
            )
        };
        let two = format!(r#"{{"celery@w1": [{}, {}]}}"#, task("t1"), task("t2"));
        assert_eq!(read(&two), Some(vec!["t1".to_owned(), "t2".to_owned()]));
        let scheduled = r#"{"w": [{"eta": "2026-11-21T16:08:36+00:00", "priority": 6, "request": {"id": "t3"}}]}"#;
        assert_eq!(read(scheduled), Some(vec!["t3".to_owned()]));
        for cut in 0..two.len() {
            assert_eq!(read(&two[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_such_answer_says_nothing() {
        for text in [
            r#"{"celery@w1": {"error": "KeyError('active') []"}}"#,
            r#"{"celery@w1": {"ok": []}}"#,
            r#"{"celery@w1": [{"name": "a"}]}"#,
            r#"{"celery@w1": [{"id": ""}]}"#,
            r#"{"celery@w1": [null]}"#,
            r#"{"celery@w1": [,]}"#,
            r#"{"celery@w1": [{"id": "t1"},]}"#,
            r#"{"celery@w1": [], "celery@w2": []}"#,
            r#"{"x": 1, "celery@w1": []}"#,
            "[]",
            "{}",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(
            enveloped_answer(
                List::Active,
                br#"{"body": "gAJ9cQAu", "content-type": "application/x-python-serialize"}"#
            ),
            None
        );
    }
}
