//! Connections that do what they are told, line by line: `send PING` (and wait for all answers), `block BRPOP q 0` (and
//! wait for none), `close`.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use traffic::resp::{reply, words};

/// `tagged`: each is another worker, as the tag in its user name says.
pub(crate) fn run(to: &str, connections: usize, tagged: bool) -> io::Result<()> {
    let mut all = Vec::new();
    for number in 0..connections {
        let mut socket = TcpStream::connect(to)?;
        if tagged {
            socket.write_all(&words(&format!("AUTH default+idle{number} any")))?;
            answered(&socket)?;
        }
        all.push(socket);
    }
    println!("ready");
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("send", text)) => {
                write(&all, text)?;
                all.iter().try_for_each(answered)?;
            }
            Some(("block", text)) => write(&all, text)?,
            _ if line == "close" => all.clear(),
            _ => return Err(io::Error::other(format!("what is {line}?"))),
        }
        println!("ok");
    }
    Ok(())
}

fn write(all: &[TcpStream], text: &str) -> io::Result<()> {
    let bytes = words(text);
    all.iter().try_for_each(|mut socket| socket.write_all(&bytes))
}

fn answered(mut socket: &TcpStream) -> io::Result<()> {
    let (mut bytes, mut some) = (Vec::new(), [0; 512]);
    while reply(&bytes).is_none() {
        match socket.read(&mut some)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            number => bytes.extend_from_slice(&some[..number]),
        }
    }
    Ok(())
}
