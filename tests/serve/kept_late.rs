//! What was sent to the Redis that keeps the drains and not answered may still arrive, behind what was sent after it.

use crate::gate::SURELY;
use crate::keeper::Keeper;
use draingate::config::{Config, Flags};
use draingate::store::{Kept, Store};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A way to Redis on which what is said can be held up.
struct Way {
    address: SocketAddr,
    held: Arc<AtomicBool>,
    /// Lets what is held up go on.
    go: Sender<()>,
    /// What is held up has been answered.
    answered: Receiver<()>,
}

impl Way {
    fn to(redis: SocketAddr) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let ((go, wait), (tell, answered), held) = (channel(), channel(), Arc::new(AtomicBool::new(false)));
        let (hold, wait) = (held.clone(), Arc::new(Mutex::new(wait)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (hold, wait, tell) = (hold.clone(), wait.clone(), tell.clone());
                let redis = TcpStream::connect(redis).expect("connected");
                std::thread::spawn(move || pass(client, redis, &hold, &wait, &tell));
            }
        });
        Way { address, held, go, answered }
    }
}

/// One question, one answer, until the end.
fn pass(
    mut client: TcpStream,
    mut redis: TcpStream,
    hold: &AtomicBool,
    wait: &Mutex<Receiver<()>>,
    tell: &Sender<()>,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let number = client.read(&mut buffer).ok().filter(|number| *number > 0)?;
        let held = hold.load(Ordering::SeqCst);
        if held {
            wait.lock().ok()?.recv().ok()?;
        }
        redis.write_all(&buffer[..number]).ok()?;
        let number = redis.read(&mut buffer).ok().filter(|number| *number > 0)?;
        if held {
            tell.send(()).ok()?;
        }
        client.write_all(&buffer[..number]).ok()?;
    }
}

#[test]
fn what_arrives_behind_something_newer_changes_nothing() {
    let keeper = Keeper::start(&[]);
    let way = Way::to(keeper.address);
    let dir = tempfile::tempdir().expect("a directory");
    let flags = Flags { state_dir: Some(dir.path().to_owned()), ..Flags::default() };
    let text = format!("[state]\nurl = \"redis://{}\"\n", way.address);
    let config = Config::parse(Some(("test", &text)), &[], &flags).expect("valid");
    let (store, _) = Store::open(&config.state, false).expect("opened");
    store.save_drains("first").expect("saved");
    way.held.store(true, Ordering::SeqCst);
    let late = store.save_drains("late").expect_err("no answer").to_string();
    assert!(late.contains("no answer within 2 s"), "{late}");
    way.held.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    // for a moment it is not even asked
    while store.save_drains("newer").is_err() {
        assert!(begun.elapsed() < SURELY);
        std::thread::sleep(Duration::from_millis(5));
    }
    way.go.send(()).expect("it waits");
    way.answered.recv_timeout(SURELY).expect("it has arrived");
    assert_eq!(store.renew().expect("ours"), Kept::Whole);
    drop(store);
    let (_store, saved) = Store::open(&config.state, false).expect("opened");
    assert_eq!(saved.drains.as_deref(), Some("newer"));
}
