//! Stories about a fleet, as text with a made-up clock. One line, one thing that happens or one thing that is checked:
//!
//! ```text
//! + c1 10.0.0.5              a client connects (`own` behind: its listener is its identity; `local`: looked up later;
//!                            `amqp`: to a RabbitMQ)
//! = c1 100:7@20s < 90:1@0s   its process was found: pid:start@time, then its ancestors (`= c1 nobody`: not found)
//! c1 named celery w1@a       what its gate saw ...
//! c1 fetch q                 a blocking fetch, held if the connection is marked (`fetch!`: forwarded all the same;
//!                            `poll q`: one that does not block); `nil`, `failed`, `vanished`, `parked`, `resumed`
//! c1 gets t1 id=x eta=+9s    a job is delivered, in answer to the fetch outstanding if there is one (`taken t1`;
//!                            `delivers t1`: only the delivery, the fetch is still outstanding)
//! c1 ack t1 · result x · end t1 · requeue t1 · returned t1 · pushed · pushes t1 t2 · refused t1 · leaves host:1:aaaa
//! c1 born rq w1 · idle       a process begins its life; it has nothing in hand (`gives up`: a job, by its own word)
//! c1 acknowledges            what it fetches is acknowledged one by one
//! c1 lease 30s · renewed 30s its jobs' locks last so long; one has been renewed
//! c1 beat active=0 processed=3 ts=9s pid=1 every=2s      c1 sidekiq c=2 busy=0 beat=9s        c1 work j1 j2
//! c1 listens · deaf          its process listens to remote control on it (see `asking`), or not any more
//! - c1                       it closes (`- c1 broker`, `- c1 gate`)
//! 7.05s   +2s                the clock is set, or goes on; the fleet is woken whenever it asked for it
//! drain NAME SEL.. [ttl=1h|none] [standing] [delayed] [require=exact] [empty] [nostarve] [dry] [reason=x] [! error]
//! undrain NAME               restart (the gate; all connections are gone)       over 100:7 (that process has ended)
//! elsewhere (as restart, but the journal has stayed where it was: only the drains are there)
//! ? w1@a drained reported running=0 blocked~text    a worker by name, by id or by `@c1`
//! ? drain NAME sealed        ? c1 marked            ? notice text            ? no notice text
//! ```
//! (queues and their pauses: see `pauses`). After every line the script also checks what must always be true; see [`Script::check_always`].

mod asking;
mod check;
mod pauses;
mod words;

use draingate::fleet::{ClosedBy, DrainAnswer, DrainError, Effect, Fleet, FleetSettings, Peer, Process};
use draingate::job::{ConnId, FetchEnd, JobEvent, Millis, Place, Protocol};
use draingate::question::Question;
use std::collections::HashMap;
use words::{job, job_texts, moment, notice_text, request, span, told};

/// A fleet under a script.
pub struct Script {
    /// The fleet itself.
    pub fleet: Fleet,
    settings: FleetSettings,
    now: Millis,
    conns: HashMap<String, Client>,
    next: u64,
    journal: Vec<String>,
    drains: String,
    notices: Vec<String>,
    /// On which connection which question was put, in their order.
    asked: Vec<(ConnId, Question)>,
    /// So many of them have been looked at.
    looked: usize,
}

struct Client {
    id: ConnId,
    marked: bool,
    /// Outstanding fetches: where, and whether they block.
    fetches: Vec<(Place, bool)>,
}

impl Client {
    /// What becomes of its fetches, if these words speak of one.
    fn fetch_event(&mut self, words: &[&str]) -> Result<Option<JobEvent>, String> {
        Ok(Some(match words[0] {
            "fetch" | "fetch!" | "poll" | "held" => {
                let held = (self.marked && words[0] != "fetch!") || words[0] == "held";
                let place = if held { Place::Gate } else { Place::Broker };
                let blocking = words[0] != "poll";
                self.fetches.push((place, blocking));
                let queues = words[1..].iter().map(|queue| (*queue).to_owned()).collect();
                JobEvent::FetchAsked { place, queues, blocking }
            }
            "parked" | "resumed" => {
                let to = if words[0] == "parked" { Place::Gate } else { Place::Broker };
                let fetch = self.fetches.iter_mut().find(|fetch| fetch.0 != to).ok_or("no fetch to move")?;
                fetch.0 = to;
                JobEvent::FetchMoved { to }
            }
            "nil" | "failed" | "vanished" => {
                if self.fetches.is_empty() {
                    return Err("no fetch is outstanding".to_owned());
                }
                let (from, blocking) = self.fetches.remove(0);
                let end = match words[0] {
                    "nil" => FetchEnd::Empty,
                    "failed" => FetchEnd::Error,
                    _ => FetchEnd::Vanished,
                };
                JobEvent::FetchAnswered { from, end, blocking }
            }
            _ => return Ok(None),
        }))
    }
}

/// Zero of the scripts' clock: a time like any other, so that nothing works by accident of being 0.
pub const ZERO: Millis = 1_700_000_000_000;

/// Plays a script from a gate that started long before (an hour), so that nobody is taken for a survivor.
pub fn play(text: &str) -> Script {
    play_with(FleetSettings::default(), text)
}

/// The same with settings.
pub fn play_with(settings: FleetSettings, text: &str) -> Script {
    let mut script = Script::new(settings, ZERO - 3_600_000);
    script.now = ZERO;
    script.play(text);
    script
}

impl Script {
    /// A fresh fleet whose gate starts at `born`.
    pub fn new(settings: FleetSettings, born: Millis) -> Script {
        let mut fleet = Fleet::new(settings.clone(), born);
        let (journal, drains) = (fleet.export_journal(), fleet.export_drains());
        fleet.take_effects();
        fleet.take_journal(|_| ());
        Script {
            fleet,
            settings,
            now: born,
            conns: HashMap::new(),
            next: 0,
            journal,
            drains,
            notices: Vec::new(),
            asked: Vec::new(),
            looked: 0,
        }
    }

    /// Plays on.
    pub fn play(&mut self, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let outcome = self.line(line).and_then(|()| self.after());
            if let Err(why) = outcome {
                panic!("line {}: {line}\n  {why}\n{}", number + 1, self.picture());
            }
        }
    }

    /// The script's clock.
    pub fn now(&self) -> Millis {
        self.now
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "+" => self.connect(&words[1..]),
            "=" => self.identify(&words[1..]),
            "-" => self.close(&words[1..]),
            "?" => self.check(&words[1..], line),
            "drain" => self.drain(line),
            "undrain" => {
                self.fleet.undrain(self.now, words[1]);
                Ok(())
            }
            "pause" => self.pause(line),
            "resume" => {
                self.fleet.resume(words[1]);
                Ok(())
            }
            "restart" => self.restart(),
            "elsewhere" => {
                self.journal.clear();
                self.restart()
            }
            "over" => {
                let (pid, started) = words[1].split_once(':').ok_or("a process is pid:start")?;
                let process = (pid.parse().map_err(|_| "pid")?, started.parse().map_err(|_| "start")?);
                if !self.fleet.absent_processes().contains(&process) {
                    return Err(format!("nobody asks for {process:?}"));
                }
                self.fleet.processes_ended(&[process]);
                Ok(())
            }
            first if self.conns.contains_key(first) => self.event(first, &words[1..]),
            clock => match clock.strip_prefix('+') {
                Some(more) => self.advance(self.now + span(more)?),
                None => self.advance(ZERO + span(clock)?),
            },
        }
    }

    fn advance(&mut self, to: Millis) -> Result<(), String> {
        if to < self.now {
            return Err(format!("the clock is at {} already", self.now - ZERO));
        }
        let mut turns = 0;
        while let Some(due) = self.fleet.next_timeout().filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.fleet.tick(self.now);
            self.after()?;
            turns += 1;
            if turns > 10_000 {
                return Err("the fleet wants to be woken for ever".to_owned());
            }
        }
        self.now = to;
        Ok(())
    }

    fn connect(&mut self, words: &[&str]) -> Result<(), String> {
        let local = words.contains(&"local");
        let ip = words.get(1).filter(|word| **word != "local").copied().unwrap_or("127.0.0.1");
        let listener = words.iter().find_map(|word| word.strip_prefix("listener=")).unwrap_or("main");
        self.next += 1;
        let id = ConnId(self.next);
        let peer = Peer {
            listener: listener.into(),
            listener_is_identity: words.contains(&"own"),
            protocol: if words.contains(&"amqp") { Protocol::Amqp } else { Protocol::Redis },
            ip: ip.parse().map_err(|_| format!("{ip} is no address"))?,
            port: 40_000 + self.next as u16,
            local,
        };
        self.conns.insert(words[0].to_owned(), Client { id, marked: false, fetches: Vec::new() });
        self.fleet.connect(self.now, id, peer);
        Ok(())
    }

    fn identify(&mut self, words: &[&str]) -> Result<(), String> {
        let id = self.conn(words[0])?.id;
        let mut lineage = Vec::new();
        for word in words[1..].iter().filter(|word| !["<", "nobody"].contains(word)) {
            let (pid, rest) = word.split_once(':').ok_or("a process is pid:start@time")?;
            let (started, at) = rest.split_once('@').unwrap_or((rest, "0s"));
            lineage.push(Process {
                pid: pid.parse().map_err(|_| "pid")?,
                started: started.parse().map_err(|_| "start")?,
                started_at: moment(at)?,
            });
        }
        self.fleet.identified(self.now, id, &lineage, Some("python"));
        Ok(())
    }

    fn close(&mut self, words: &[&str]) -> Result<(), String> {
        let client = self.conns.remove(words[0]).ok_or("no such connection")?;
        for (from, blocking) in client.fetches {
            let end = FetchEnd::Vanished;
            self.fleet.event(self.now, client.id, JobEvent::FetchAnswered { from, end, blocking });
        }
        let by = match words.get(1) {
            Some(&"broker") => ClosedBy::Broker,
            Some(&"gate") => ClosedBy::Gate,
            _ => ClosedBy::Client,
        };
        self.fleet.disconnect(self.now, client.id, by);
        Ok(())
    }

    fn event(&mut self, name: &str, words: &[&str]) -> Result<(), String> {
        let client = self.conns.get_mut(name).ok_or("no such connection")?;
        let id = client.id;
        let event = match words[0] {
            "gets" => return self.gets(name, words),
            "answers" => return self.answers(id, &words[1..]),
            "takes" => self.taken(&words[1..]),
            _ => match client.fetch_event(words)? {
                Some(event) => event,
                None => told(words, self.now)?,
            },
        };
        self.fleet.event(self.now, id, event);
        Ok(())
    }

    /// A delivery, and the end of the fetch that it answers.
    fn gets(&mut self, name: &str, words: &[&str]) -> Result<(), String> {
        let now = self.now;
        let job = job(words, now)?;
        let client = self.conns.get_mut(name).ok_or("no such connection")?;
        let id = client.id;
        let at = client.fetches.iter().position(|fetch| fetch.0 == Place::Broker);
        let fetch = at.map(|at| client.fetches.remove(at));
        if fetch.is_none() {
            let queues = [job.queue.to_string()].into();
            self.fleet.event(now, id, JobEvent::FetchAsked { place: Place::Broker, queues, blocking: true });
        }
        self.fleet.event(now, id, JobEvent::Delivered(job));
        let blocking = fetch.is_none_or(|fetch| fetch.1);
        self.fleet.event(now, id, JobEvent::FetchAnswered { from: Place::Broker, end: FetchEnd::Job, blocking });
        Ok(())
    }

    fn drain(&mut self, line: &str) -> Result<(), String> {
        let (command, wanted) = match line.split_once(" ! ") {
            Some((command, error)) => (command, Some(error.trim())),
            None => (line, None),
        };
        let request = request(command)?;
        let answer = self.fleet.drain(self.now, &request);
        match (answer, wanted) {
            (Ok(_), None) => Ok(()),
            (Ok(answer), Some(wanted)) if wanted == "again" && !answer.created => Ok(()),
            (Err(error), Some(wanted)) if error.to_string().contains(wanted) => one_line(&error),
            (answer, wanted) => Err(format!("expected {wanted:?}, got {answer:?}")),
        }
    }

    /// Asks for a drain and hands the answer out.
    pub fn ask(&mut self, line: &str) -> Result<DrainAnswer, DrainError> {
        let request = request(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        let answer = self.fleet.drain(self.now, &request);
        self.after().unwrap_or_else(|why| panic!("{line}: {why}"));
        answer
    }

    /// The gate is killed and started again: what remains is what was written down.
    fn restart(&mut self) -> Result<(), String> {
        self.conns.clear();
        let mut fleet = Fleet::new(self.settings.clone(), self.now);
        let journal: Vec<&str> = self.journal.iter().map(String::as_str).collect();
        fleet.import_drains(self.now, &self.drains)?;
        fleet.import_journal(self.now, &journal)?;
        self.journal = fleet.export_journal();
        self.fleet = fleet;
        Ok(())
    }

    fn conn(&mut self, name: &str) -> Result<&mut Client, String> {
        self.conns.get_mut(name).ok_or_else(|| format!("no connection is called {name}"))
    }

    /// Carries the effects out as the hub would, and checks what must always be true.
    fn after(&mut self) -> Result<(), String> {
        for effect in self.fleet.take_effects() {
            match effect {
                Effect::Mark(id, marked) => {
                    if let Some(client) = self.conns.values_mut().find(|client| client.id == id) {
                        client.marked = marked;
                    }
                }
                Effect::SaveDrains => self.drains = self.fleet.export_drains(),
                Effect::Notice(notice) => self.notices.push(notice_text(&notice)),
                Effect::Jobs(count) => self.notices.extend(job_texts(&count)),
                Effect::Ask(id, question) => self.asked.push((id, question)),
                Effect::System(..) | Effect::Pauses(_) | Effect::Wait(..) => {}
            }
        }
        if let Some(lines) = self.fleet.take_journal(|lines| String::from_utf8_lossy(lines).into_owned()) {
            let whole = lines.strip_suffix('\n').ok_or_else(|| format!("no whole lines: {lines:?}"))?;
            self.journal.extend(whole.split('\n').map(str::to_owned));
        }
        self.check_always()
    }
}

fn one_line(error: &DrainError) -> Result<(), String> {
    let text = error.to_string();
    if text.contains('\n') || text.len() > 300 { Err(format!("not one clear line: {text}")) } else { Ok(()) }
}
