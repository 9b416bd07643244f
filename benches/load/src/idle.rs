//! Connections that do what they are told, line by line: `send PING` (and wait for all answers), `block BRPOP q 0` (and
//! wait for none), `close`.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use traffic::resp::{reply, words};

/// `proxied`: each says first, as a proxy would, that it comes from an address of its own.
pub(crate) fn run(to: &str, connections: usize, proxied: bool) -> io::Result<()> {
    let mut all = Vec::new();
    for number in 0..connections {
        let mut socket = TcpStream::connect(to)?;
        if proxied {
            let (high, low) = (number / 250, number % 250 + 1);
            write!(socket, "PROXY TCP4 10.1.{high}.{low} 10.255.0.1 40000 6379\r\n")?;
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
