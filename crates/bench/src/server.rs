//! FreeSWITCH's part: greeting, two replies, then events as fast as they are read.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::storm::Storm;

/// Longest wait for a client: to connect, to ask, to read on. One that hangs must not hang the run.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between the reply to the subscription and the first event, so that every client is ready.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves one client until it goes.
pub(crate) fn serve(listener: &TcpListener, storm: &Storm, events: usize) -> Result<()> {
    let mut stream = accept(listener)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"Content-Type: auth/request\n\n")?;
    for (command, reply) in
        [("auth ", "+OK accepted"), ("event plain ", "+OK event listener enabled plain")]
    {
        expect(&mut stream, command)?;
        write!(stream, "Content-Type: command/reply\nReply-Text: {reply}\n\n")?;
    }
    sleep(PAUSE);
    for piece in storm.pieces(events) {
        stream.write_all(piece)?;
    }
    // `eslrs` keeps the events of its last read to itself until it is woken once more.
    stream.shutdown(Shutdown::Write)?;
    wait_for_end(&mut stream)
}

/// A client that fails before it connects must not hang the run.
fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let started = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) if started.elapsed() > PATIENCE => bail!("no client within {PATIENCE:?}"),
            Err(_) => sleep(Duration::from_millis(1)),
        }
    }
}

/// Reads one command; `eslrs` ends its lines with CRLF.
fn expect(stream: &mut TcpStream, command: &str) -> Result<()> {
    let mut received = Vec::new();
    let mut byte = [0];
    while !received.ends_with(b"\n\n") && !received.ends_with(b"\n\r\n") {
        stream.read_exact(&mut byte)?;
        received.extend(byte);
    }
    if !received.starts_with(command.as_bytes()) {
        bail!("expected {command:?}, got {:?}", String::from_utf8_lossy(&received));
    }
    Ok(())
}

/// A client that leaves with bytes unread resets the connection; that is an end too.
fn wait_for_end(stream: &mut TcpStream) -> Result<()> {
    let mut farewell = [0; 256];
    loop {
        match stream.read(&mut farewell) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
