//! A model of Redis, as much of it as the properties need: lists, blocking pops with their time-outs, transactions, and
//! several connections.

use std::collections::{BTreeMap, VecDeque};

/// A command's arguments.
pub type Args = Vec<Vec<u8>>;

/// See the module.
#[derive(Default)]
pub struct Redis {
    pub now: u64,
    pub lists: BTreeMap<Vec<u8>, VecDeque<Vec<u8>>>,
    pub conns: Vec<Conn>,
    /// Connections that wait, longest first.
    waiting: VecDeque<usize>,
    /// The connections that an element was handed to since this was last looked at.
    pub handed: Vec<usize>,
}

/// One connection.
#[derive(Default)]
pub struct Conn {
    input: Vec<u8>,
    pub output: Vec<u8>,
    blocked: Option<(Args, Option<u64>)>,
    queued: Option<Vec<Args>>,
    three: bool,
    closed: bool,
}

impl Redis {
    pub fn connect(&mut self) -> usize {
        self.conns.push(Conn::default());
        self.conns.len() - 1
    }

    /// What was not read by then is gone.
    pub fn close(&mut self, conn: usize) {
        self.conns[conn] = Conn { closed: true, ..Conn::default() };
        self.waiting.retain(|c| *c != conn);
    }

    pub fn input(&mut self, conn: usize, bytes: &[u8]) {
        if !self.conns[conn].closed {
            self.conns[conn].input.extend_from_slice(bytes);
            self.run(conn);
        }
    }

    pub fn push(&mut self, key: &[u8], element: &[u8], left: bool) {
        let list = self.lists.entry(key.to_vec()).or_default();
        if left {
            list.push_front(element.to_vec())
        } else {
            list.push_back(element.to_vec())
        }
        self.serve();
    }

    /// Time-outs that are over.
    pub fn pass_time(&mut self, ms: u64) {
        self.now += ms;
        for conn in 0..self.conns.len() {
            let over = |b: &(Args, Option<u64>)| b.1.is_some_and(|at| at <= self.now);
            if self.conns[conn].blocked.as_ref().is_some_and(over) {
                self.conns[conn].blocked = None;
                self.waiting.retain(|c| *c != conn);
                let nil: &[u8] = if self.conns[conn].three { b"_\r\n" } else { b"*-1\r\n" };
                self.conns[conn].output.extend_from_slice(nil);
                self.run(conn);
            }
        }
    }

    fn run(&mut self, conn: usize) {
        while self.conns[conn].blocked.is_none() {
            let Some((args, used)) = command(&self.conns[conn].input) else { return };
            self.conns[conn].input.drain(..used);
            let reply = self.execute(conn, args);
            self.conns[conn].output.extend(reply);
            self.serve();
        }
    }

    fn serve(&mut self) {
        for conn in self.waiting.clone() {
            let Some((args, _)) = self.conns[conn].blocked.clone() else { continue };
            if let Some(reply) = self.pop(conn, &args) {
                self.conns[conn].blocked = None;
                self.waiting.retain(|c| *c != conn);
                self.conns[conn].output.extend(reply);
                self.run(conn);
            }
        }
    }

    fn execute(&mut self, conn: usize, args: Args) -> Vec<u8> {
        let name = args[0].to_ascii_uppercase();
        let in_multi = self.conns[conn].queued.is_some();
        match name.as_slice() {
            b"MULTI" => {
                self.conns[conn].queued = Some(vec![]);
                b"+OK\r\n".to_vec()
            }
            b"EXEC" => {
                let queued = self.conns[conn].queued.take().expect("EXEC without MULTI");
                let head = format!("*{}\r\n", queued.len()).into_bytes();
                queued.into_iter().fold(head, |out, args| [out, self.execute(conn, args)].concat())
            }
            b"DISCARD" => {
                self.conns[conn].queued = None;
                b"+OK\r\n".to_vec()
            }
            _ if in_multi => {
                self.conns[conn].queued.as_mut().expect("in a transaction").push(args);
                b"+QUEUED\r\n".to_vec()
            }
            b"BRPOP" | b"BLPOP" | b"BLMOVE" => self.pop(conn, &args).unwrap_or_else(|| {
                let seconds: f64 = std::str::from_utf8(args.last().expect("a time-out")).unwrap().parse().unwrap();
                let at = (seconds > 0.0).then(|| self.now + (seconds * 1000.0).ceil() as u64);
                self.conns[conn].blocked = Some((args, at));
                self.waiting.push_back(conn);
                vec![]
            }),
            b"LPOP" | b"RPOP" => match self.take(conn, &args[1], name == b"LPOP") {
                Some(element) => bulk(&element),
                None if self.conns[conn].three => b"_\r\n".to_vec(),
                None => b"$-1\r\n".to_vec(),
            },
            b"LPUSH" | b"RPUSH" => {
                for element in &args[2..] {
                    self.push(&args[1], element, name == b"LPUSH");
                }
                format!(":{}\r\n", args.len() - 2).into_bytes()
            }
            b"LREM" => {
                let list = self.lists.entry(args[1].clone()).or_default();
                let at = match args[2].as_slice() {
                    b"1" => list.iter().position(|e| *e == args[3]),
                    _ => list.iter().rposition(|e| *e == args[3]),
                };
                let removed = at.and_then(|at| list.remove(at)).is_some();
                format!(":{}\r\n", u8::from(removed)).into_bytes()
            }
            b"HELLO" => {
                self.conns[conn].three = args[1] == b"3";
                if args[1] == b"3" { b"%1\r\n+proto\r\n:3\r\n".to_vec() } else { b"*2\r\n+proto\r\n:2\r\n".to_vec() }
            }
            b"ECHO" => bulk(&args[1]),
            b"PING" => b"+PONG\r\n".to_vec(),
            // nobody changes a list between two commands of the model
            b"UNWATCH" | b"WATCH" => b"+OK\r\n".to_vec(),
            b"LPOS" => match self.lists.get(&args[1]).and_then(|list| list.iter().position(|e| *e == args[2])) {
                Some(at) => format!(":{at}\r\n").into_bytes(),
                None if self.conns[conn].three => b"_\r\n".to_vec(),
                None => b"$-1\r\n".to_vec(),
            },
            other => panic!("the model knows no {}", String::from_utf8_lossy(other)),
        }
    }

    fn pop(&mut self, conn: usize, args: &Args) -> Option<Vec<u8>> {
        if args[0].eq_ignore_ascii_case(b"BLMOVE") {
            let element = self.take(conn, &args[1], args[3].eq_ignore_ascii_case(b"left"))?;
            self.push(&args[2], &element, args[4].eq_ignore_ascii_case(b"left"));
            return Some(bulk(&element));
        }
        let left = args[0].eq_ignore_ascii_case(b"BLPOP");
        let key = args[1..args.len() - 1].iter().find(|k| self.lists.get(*k).is_some_and(|l| !l.is_empty()))?;
        let element = self.take(conn, key, left)?;
        Some([b"*2\r\n".to_vec(), bulk(key), bulk(&element)].concat())
    }

    fn take(&mut self, conn: usize, key: &[u8], left: bool) -> Option<Vec<u8>> {
        let list = self.lists.get_mut(key)?;
        let element = if left { list.pop_front() } else { list.pop_back() }?;
        self.handed.push(conn);
        Some(element)
    }
}

fn bulk(content: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

/// The command at the start.
pub fn command(input: &[u8]) -> Option<(Args, usize)> {
    let (count, mut at) = header(input, 0, b'*')?;
    let mut args = vec![];
    for _ in 0..count {
        let (length, from) = header(input, at, b'$')?;
        at = from + length as usize + 2;
        args.push(input.get(from..at)?[..length as usize].to_vec());
    }
    Some((args, at))
}

fn header(input: &[u8], at: usize, kind: u8) -> Option<(i64, usize)> {
    let rest = input.get(at..)?;
    let end = rest.iter().position(|c| *c == b'\n')?;
    assert_eq!(rest[0], kind, "not RESP: {}", rest.escape_ascii());
    Some((std::str::from_utf8(&rest[1..end - 1]).ok()?.parse().ok()?, at + end + 1))
}

/// Where the value at the start ends.
pub fn value(input: &[u8]) -> Option<usize> {
    let kind = *input.first()?;
    let end = input.iter().position(|c| *c == b'\n')? + 1;
    let number = || std::str::from_utf8(&input[1..end - 2]).expect("text").parse::<i64>().expect("a number");
    let elements = match kind {
        b'$' if number() >= 0 => return Some(end + number() as usize + 2).filter(|at| *at <= input.len()),
        b'*' => number().max(0),
        b'%' => number() * 2,
        _ => 0,
    };
    (0..elements).try_fold(end, |at, _| Some(at + value(&input[at..])?))
}
