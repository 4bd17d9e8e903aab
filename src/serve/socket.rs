//! The listening socket: a bounded number of connections, no Nagle delay, and a first request head
//! that has to arrive in time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Connections open at one time; more wait in the system's queue.
const CONNECTIONS: usize = 256;

/// How long a new connection may take for its first request head.
const HEAD: Duration = Duration::from_secs(30);

/// Pause after a failed accept, such as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Socket {
    inner: TcpListener,
    permits: Arc<Semaphore>,
}

impl Socket {
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Self { inner: TcpListener::from_std(listener)?, permits })
    }
}

impl Listener for Socket {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true); // only costs time where it fails
                    let head = Some(Box::pin(sleep(HEAD)));
                    return (Connection { stream, head, last: 0, _permit: permit }, peer);
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that ends if its first request head does not come.
pub struct Connection {
    stream: TcpStream,
    head: Option<Pin<Box<Sleep>>>,
    /// The last four bytes read, to see the blank line that ends a head.
    last: u32,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn look(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.last = self.last << 8 | u32::from(byte);
            if self.last == u32::from_be_bytes(*b"\r\n\r\n") {
                self.head = None;
                return;
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(head) = &mut self.head
            && head.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.head.is_some() {
            self.look(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
