//! A client's first words, to learn whether a server lets clients in.

use super::frame::{Frame, Frames, Kind, PROTOCOL, long_text, short_text};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const CONNECTION: u16 = 10;

/// Whether `guest` is let into the virtual host `/`. A server that is starting may accept a connection and say nothing
/// on it, or let nobody in.
pub(crate) async fn lets_in(address: &str) -> bool {
    matches!(timeout(Duration::from_secs(5), open(address)).await, Ok(Ok(())))
}

async fn open(address: &str) -> io::Result<()> {
    let mut talk = Talk { stream: TcpStream::connect(address).await?, frames: Frames::default() };
    talk.stream.write_all(&PROTOCOL).await?;
    talk.hears(10).await?;
    let start_ok = [
        // No table of properties.
        long_text(b""),
        short_text(b"PLAIN"),
        long_text(b"\0guest\0guest"),
        short_text(b"en_US"),
    ];
    talk.says(11, &start_ok.concat()).await?;
    let tune = talk.hears(30).await?;
    let limits = tune.payload().get(4..).unwrap_or_default().to_vec();
    talk.says(31, &limits).await?;
    talk.says(40, &[short_text(b"/"), short_text(b""), vec![0]].concat()).await?;
    talk.hears(41).await?;
    let close = [200u16.to_be_bytes().to_vec(), short_text(b"done"), vec![0; 4]].concat();
    talk.says(50, &close).await?;
    talk.hears(51).await.map(drop)
}

struct Talk {
    stream: TcpStream,
    frames: Frames,
}

impl Talk {
    async fn says(&mut self, method: u16, arguments: &[u8]) -> io::Result<()> {
        self.stream.write_all(Frame::method(0, CONNECTION, method, arguments).bytes()).await
    }

    /// The next frame, which must be this method.
    async fn hears(&mut self, wanted: u16) -> io::Result<Frame> {
        let mut buffer = [0; 4096];
        loop {
            let frame = self.frames.next().map_err(|_| io::ErrorKind::InvalidData)?;
            match frame.map(|frame| (frame.kind(), frame)) {
                Some((Kind::Method { class: CONNECTION, method }, frame)) if method == wanted => return Ok(frame),
                Some((Kind::Heartbeat, _)) => {}
                Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                None => match self.stream.read(&mut buffer).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => self.frames.push(&buffer[..read]),
                },
            }
        }
    }
}
