//! The look-up against real processes: this test's own children.

use super::*;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Held while a child is made: until it runs its program it has all sockets of its parent, those of other tests included.
static FORKING: Mutex<()> = Mutex::new(());

fn spawn(command: &mut Command) -> Child {
    let _alone = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn().expect("it is there")
}

/// A shell with a connection open on descriptor 3, and a child of its own that has it too.
struct Shell(Child);

impl Shell {
    fn connect(port: u16) -> Shell {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; sleep 1000 & echo ready; read line; kill $!");
        let mut bash = Command::new("bash");
        let mut child = spawn(bash.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says ready");
        Shell(child)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn the_oldest_holder_of_the_peers_socket_is_found_with_its_ancestors() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let gate = listener.local_addr().expect("bound");
    let shell = Shell::connect(gate.port());
    let (_socket, peer) = listener.accept().expect("connected");
    let question = Question { peer, gate };
    let anywhere = Question { peer, gate: SocketAddr::from(([0, 0, 0, 0], gate.port())) };
    let wrong_port = Question { peer, gate: SocketAddr::new(gate.ip(), gate.port() ^ 1) };
    let found = Processes::default().owners(&[question, anywhere, wrong_port]);
    let owner = found[0].clone().expect("found");
    assert_eq!(owner.command, "bash");
    assert_eq!(owner.lineage[0].pid, shell.0.id());
    assert_eq!(owner.lineage[1].pid, std::process::id(), "the parent is this test");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as Millis;
    assert!(now.abs_diff(owner.lineage[0].started_at) < 60_000, "started just now");
    assert_eq!(found[1].as_ref(), Some(&owner));
    assert_eq!(found[2], None);
    assert_eq!(lineage(shell.0.id()), owner.lineage);
    assert_eq!(lineage(u32::MAX), [], "there is none");
}

/// What is remembered of earlier look-ups says where to look first, never who it is. There are more of them than are
/// remembered.
#[test]
fn connections_of_several_processes_are_told_apart_however_often_they_were_looked_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let gate = listener.local_addr().expect("bound");
    let shells: Vec<Shell> = (0..10).map(|_| Shell::connect(gate.port())).collect();
    let accepted: Vec<_> = shells.iter().map(|_| listener.accept().expect("connected")).collect();
    let questions: Vec<Question> = accepted.iter().map(|(_, peer)| Question { peer: *peer, gate }).collect();
    let mut processes = Processes::default();
    let mut pids = |questions: &[Question]| -> Vec<u32> {
        // the child of each has the socket, too
        let owners = processes.owners(questions).into_iter();
        owners.map(|owner| owner.expect("found").lineage[0].pid).collect()
    };
    let expected: Vec<u32> = shells.iter().map(|shell| shell.0.id()).collect();
    assert_eq!(pids(&questions), expected);
    for (question, pid) in questions.iter().zip(&expected).cycle().take(20) {
        assert_eq!(pids(&[*question]), [*pid]);
    }
}

#[test]
fn a_process_has_ended_when_it_is_gone_or_a_zombie_or_another() {
    let mut child = spawn(Command::new("sleep").arg("1000"));
    let stat = procfs::process::Process::new(child.id() as i32).and_then(|process| process.stat()).expect("it runs");
    let is_over = || has_ended(child.id(), stat.starttime);
    assert!(!is_over());
    assert!(has_ended(child.id(), stat.starttime + 1), "another process has its id now");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::KILL)
        .expect("killed");
    while !is_over() {
        std::thread::yield_now();
    }
    child.wait().expect("it was killed");
    assert!(has_ended(child.id(), stat.starttime));
}

#[test]
fn the_gates_own_sockets_and_closed_ones_have_no_owner() {
    let _alone = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let gate = listener.local_addr().expect("bound");
    let own = std::net::TcpStream::connect(gate).expect("connected");
    let (_socket, peer) = listener.accept().expect("connected");
    assert_eq!(Processes::default().owners(&[Question { peer, gate }]), [None]);
    drop(own);
    assert_eq!(Processes::default().owners(&[Question { peer, gate }]), [None]);
    assert_eq!(Processes::default().owners(&[]), []);
}

#[test]
fn who_is_on_this_host() {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert!(is_local(ip("127.0.0.1"), ip("10.0.0.1")));
    assert!(is_local(ip("::ffff:10.0.0.1"), ip("10.0.0.1")));
    assert!(is_local(ip("::1"), ip("0.0.0.0")));
    assert!(!is_local(ip("192.0.2.1"), ip("10.0.0.1")));
    assert!(!is_local(ip("192.0.2.1"), ip("0.0.0.0")));
}
