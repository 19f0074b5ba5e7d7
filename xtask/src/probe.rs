//! Is a server of the right kind listening?

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether what listens on that port of this machine opens an AMQP 0-9-1 connection.
pub(crate) fn rabbitmq(port: u16) -> bool {
    // The answer is a method frame (1) on channel 0; any other protocol version gets `AMQP` and is closed.
    asked(port, b"AMQP\x00\x00\x09\x01").is_some_and(|answer| answer[..3] == [1, 0, 0])
}

/// Whether what listens on that port of this machine is a Redis that wants no password.
pub(crate) fn redis(port: u16) -> bool {
    asked(port, b"PING\r\n").is_some_and(|answer| &answer == b"+PONG")
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The first five bytes of the answer.
fn asked(port: u16, question: &[u8]) -> Option<[u8; 5]> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(question).ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}
