//! One command on a connection of its own.

use crate::{Failure, Result};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status or a value.
    Text(String),
    /// A number.
    Number(i64),
    /// No such value.
    Nothing,
    /// Several of them.
    Many(Vec<Reply>),
}

impl Reply {
    /// The text, where it is one.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(self) -> Result<String> {
        match self {
            Reply::Text(text) => Ok(text),
            other => Err(Failure::new(format!("Redis answered {other:?} where a text was expected"))),
        }
    }

    /// The number, where it is one.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(self) -> Result<u64> {
        match self {
            Reply::Number(number) if number >= 0 => Ok(number.unsigned_abs()),
            other => Err(Failure::new(format!("Redis answered {other:?} where a number was expected"))),
        }
    }
}

/// Whether the server answers, be it with a refusal: it may want a password.
pub(super) async fn answers(address: &str) -> bool {
    let asked = timeout(Duration::from_secs(1), ask(address, &["PING"])).await;
    match asked {
        Ok(Ok(Ok(_))) => true,
        Ok(Ok(Err(refusal))) => !refusal.starts_with("LOADING"),
        Ok(Err(_)) | Err(_) => false,
    }
}

pub(super) async fn run(address: &str, words: &[&str]) -> Result<Reply> {
    let failed = |reason: String| Failure::new(format!("`{}` at {address} failed: {reason}", words.join(" ")));
    match timeout(PATIENCE, ask(address, words)).await {
        Ok(Ok(reply)) => reply.map_err(failed),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {PATIENCE:?}"))),
    }
}

/// Gives a command and returns when the server has begun it: when it no longer answers others.
pub(super) async fn start(address: &str, words: &[&str]) -> Result<()> {
    let failed = |reason: &str| Failure::new(format!("`{}` at {address} failed: {reason}", words.join(" ")));
    let began = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        // Answered, so the server knows this connection and will hear the command before those of later ones.
        stream.write_all(&encoded(&["PING"])).await?;
        let _ = read(&mut stream).await?;
        stream.write_all(&encoded(words)).await?;
        Ok::<_, io::Error>(stream)
    };
    let mut stream = match timeout(PATIENCE, began).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Err(_) => return Err(failed("no answer")),
    };
    match timeout(Duration::from_millis(100), read(&mut stream)).await {
        Ok(Ok(Err(refusal))) => return Err(failed(&refusal)),
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Ok(Ok(Ok(_))) => return Ok(()),
        Err(_) => {}
    }
    // The server may give up a command whose client has gone, so the connection stays.
    tokio::spawn(async move { read(&mut stream).await });
    Ok(())
}

/// The outer error is the line's, the inner one the server's.
async fn ask(address: &str, words: &[&str]) -> io::Result<std::result::Result<Reply, String>> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(&encoded(words)).await?;
    read(&mut stream).await
}

fn encoded(words: &[&str]) -> Vec<u8> {
    let words_of = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    [format!("*{}\r\n", words.len())].into_iter().chain(words_of).collect::<String>().into_bytes()
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<std::result::Result<Reply, String>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
    let number = rest.parse::<i64>();
    let number = || number.clone().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    Ok(match kind {
        "-" => Err(rest.to_owned()),
        "+" => Ok(Reply::Text(rest.to_owned())),
        ":" => Ok(Reply::Number(number()?)),
        "$" => Ok(match usize::try_from(number()?) {
            Ok(length) => Reply::Text(bulk(stream, length).await?),
            Err(_) => Reply::Nothing,
        }),
        "*" => {
            let mut many = Vec::new();
            for _ in 0..number()? {
                match Box::pin(read(stream)).await? {
                    Ok(reply) => many.push(reply),
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
            Ok(Reply::Many(many))
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    })
}

async fn bulk(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}
