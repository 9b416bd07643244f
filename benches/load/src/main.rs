//! A load generator that is not the bottleneck: one thread, one epoll, no allocation per message worth speaking of.
//!
//! Beginning and end are the caller's: when all connections stand it prints `ready`, waits for a line, works until so
//! many jobs are done, prints what it measured as JSON, and waits for the end of its input. In between the caller reads
//! clocks. Latencies count from the moment at which a message was due, whether or not it could be sent then.

mod amqp;
mod canned;
mod celery;
mod idle;
mod net;
mod pops;
mod requests;
mod world;

use clap::{ArgAction, Parser, ValueEnum};
use net::{Loop, Role};
use std::io;
use world::World;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// SET and GET in turn.
    Requests,
    /// BRPOP on many connections, LPUSH on one that goes to the broker directly.
    Pops,
    /// What Celery sends on Redis for each job: fetch, `unacked`, ack, result, and now and then a heartbeat.
    CeleryRedis,
    /// Publish on some connections, deliver and ack on others.
    Amqp,
    /// What Celery sends on RabbitMQ for each job: deliver, ack, result.
    CeleryAmqp,
    /// Deliver and ack of what the canned broker has without end.
    Deliver,
    /// Publish to the canned broker.
    Publish,
    /// Many connections that do what they are told on standard input.
    Idle,
    /// The canned broker.
    Canned,
}

#[derive(Debug, Parser)]
struct Options {
    mode: Mode,
    /// The gate, a peer, or the broker; the canned broker listens there.
    #[arg(long)]
    to: String,
    /// The broker, for those who feed the queue.
    #[arg(long)]
    direct: Option<String>,
    /// Connections of workers.
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Jobs.
    #[arg(long, default_value_t = 10_000)]
    jobs: u64,
    /// Bytes of a body or value.
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// Jobs per second; 0: as many as go, `window` at a time.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Jobs under way at a time, if no rate is given.
    #[arg(long, default_value_t = 100)]
    window: u64,
    /// User names say which worker a connection is of, for a gate that knows tags.
    #[arg(long, action = ArgAction::Set, default_value_t = false)]
    tagged: bool,
    /// The queue.
    #[arg(long, default_value = "jobs")]
    queue: String,
}

fn roles(options: &Options) -> Vec<(String, Box<dyn Role>)> {
    let to = || options.to.clone();
    let direct = options.direct.clone().unwrap_or_else(to);
    let workers = 0..options.connections;
    // a worker of one job system must not turn up as one of another
    let mode = options.mode.to_possible_value().map(|mode| mode.get_name().to_owned()).unwrap_or_default();
    let user =
        |name: &str, worker: usize| if options.tagged { format!("{name}+{mode}{worker}") } else { name.to_owned() };
    // threads of a worker share its name
    let redis = |at: usize| user("default", at / 10);
    let rabbit = |at: usize| user("guest", at);
    let (queue, size) = (options.queue.as_str(), options.size);
    match options.mode {
        Mode::Requests => workers.map(|_| (to(), requests::client(size))).collect(),
        Mode::Pops => {
            let poppers = workers.map(|at| (to(), pops::popper(queue, size, &redis(at))));
            poppers.chain([(direct, pops::producer(queue, pops::plain(size)))]).collect()
        }
        Mode::CeleryRedis => {
            let worker = |at: usize| celery::worker(queue, size, at * 3, &user("default", at)).map(|role| (to(), role));
            workers.flat_map(worker).chain([(direct, pops::producer(queue, celery::task(size)))]).collect()
        }
        Mode::Amqp => {
            let consumers = workers.map(|at| (to(), amqp::consumer(queue, None, &rabbit(at))));
            consumers.chain((0..4).map(|_| (to(), amqp::publisher(queue, size, false)))).collect()
        }
        Mode::CeleryAmqp => {
            let pair = |at: usize| {
                [(to(), amqp::consumer(queue, Some(at * 2 + 1), &rabbit(at))), (to(), amqp::child(&rabbit(at)))]
            };
            workers.flat_map(pair).chain([(direct, amqp::producer(queue, size))]).collect()
        }
        Mode::Deliver => workers.map(|at| (to(), amqp::consumer(queue, None, &rabbit(at)))).collect(),
        Mode::Publish => workers.map(|_| (to(), amqp::publisher(queue, size, true))).collect(),
        Mode::Idle | Mode::Canned => Vec::new(),
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    match options.mode {
        Mode::Idle => return idle::run(&options.to, options.connections, options.tagged),
        Mode::Canned => return canned::run(&options.to, options.size),
        _ => {}
    }
    // the canned broker says once what it has had
    let window = if options.mode == Mode::Publish { options.jobs } else { options.window };
    let mut world = World::new(options.jobs, options.rate, window);
    world.open_loop = options.mode == Mode::Requests;
    let mut all = Loop::new(world)?;
    for (address, role) in roles(&options) {
        all.connect(&address, role)?;
    }
    all.until_ready()?;
    println!("ready");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    all.work()?;
    println!("{}", all.world.told());
    io::stdin().read_line(&mut line)?;
    Ok(())
}
