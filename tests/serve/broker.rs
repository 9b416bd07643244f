//! As much of Redis as these tests need: lists with blocking pops, and `PING`.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

type Lists = Arc<(Mutex<HashMap<String, VecDeque<String>>>, Condvar)>;

/// See the module. Its threads end with the process.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
}

impl Broker {
    pub(crate) fn start() -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let lists = Lists::default();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let lists = lists.clone();
                std::thread::spawn(move || serve(socket, &lists));
            }
        });
        Broker { address }
    }
}

fn serve(mut socket: TcpStream, lists: &Lists) -> Option<()> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    loop {
        let words = command(&mut reader)?;
        let answer = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["LPUSH", list, job] => push(lists, list, job),
            ["LLEN", list] => format!(":{}\r\n", lists.0.lock().ok()?.get(list).map_or(0, VecDeque::len)),
            ["BRPOP", list, seconds] => pop(lists, list, seconds.parse().ok()?, &socket)?,
            _ => "+PONG\r\n".into(),
        };
        socket.write_all(answer.as_bytes()).ok()?;
    }
}

fn push(lists: &Lists, list: &str, job: &str) -> String {
    let mut all = lists.0.lock().expect("sound");
    let jobs = all.entry(list.to_owned()).or_default();
    jobs.push_front(job.to_owned());
    lists.1.notify_all();
    format!(":{}\r\n", jobs.len())
}

/// `None` when the client goes away meanwhile: what comes later is for others, as in Redis.
fn pop(lists: &Lists, list: &str, seconds: f64, client: &TcpStream) -> Option<String> {
    let end = Instant::now() + Duration::from_secs_f64(if seconds == 0.0 { 1e6 } else { seconds });
    let mut all = lists.0.lock().expect("sound");
    loop {
        client.set_nonblocking(true).ok()?;
        let gone = client.peek(&mut [0]).is_ok_and(|number| number == 0);
        client.set_nonblocking(false).ok()?;
        if gone {
            return None;
        }
        if let Some(job) = all.get_mut(list).and_then(VecDeque::pop_back) {
            return Some(format!("*2\r\n${}\r\n{list}\r\n${}\r\n{job}\r\n", list.len(), job.len()));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Some("*-1\r\n".into());
        }
        all = lists.1.wait_timeout(all, left.min(Duration::from_millis(20))).expect("sound").0;
    }
}

fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let number = |reader: &mut dyn BufRead| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    let count = number(reader)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(reader)?;
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(length);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

/// A client that speaks RESP.
pub(crate) struct Client {
    socket: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::connect_saying(address, "")
    }

    /// With these words in front of its first command.
    pub(crate) fn connect_saying(address: SocketAddr, words: &str) -> Client {
        let mut socket = TcpStream::connect(address).expect("connected");
        socket.write_all(words.as_bytes()).expect("written");
        socket.set_read_timeout(Some(super::gate::SURELY)).expect("set");
        let reader = BufReader::new(socket.try_clone().expect("cloned"));
        Client { socket, reader }
    }

    pub(crate) fn send(&mut self, words: &[&str]) {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.socket.write_all(text.as_bytes()).expect("written");
    }

    /// The next line of an answer; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// Sends a command; the first line of the answer.
    pub(crate) fn call(&mut self, words: &[&str]) -> String {
        self.send(words);
        self.line().expect("an answer")
    }

    /// The job that a `BRPOP` brings.
    pub(crate) fn job(&mut self) -> String {
        assert_eq!(self.line().as_deref(), Some("*2"));
        (0..4).filter_map(|_| self.line()).last().expect("the job")
    }

    /// Whether nothing comes for so long: neither an answer nor the end.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).expect("set");
        let silent = matches!(self.socket.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.socket.set_read_timeout(Some(super::gate::SURELY)).expect("set");
        silent
    }
}
