//! The gateway behind HTTP on loopback. The only room that knows tokio and axum.
//!
//! A server speaks the Open Inference Protocol V2 for whatever [`Door`] it is given. It never sees
//! a student, and it decides nothing: budgets, limits and defenses are the door's. Identity is the
//! API key and nothing else; forwarded-for headers are ignored. A server started by hand takes the
//! time from the machine; a run's own server takes it from its loop, with a token.

mod clock;
mod door;
mod keys;
mod refuse;
mod routes;
mod socket;
mod state;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::gateway::Door;
use crate::ledger::AccountId;

pub use clock::Clock;
pub use door::open_http_door;

/// Largest request body unless said otherwise, in bytes.
pub const BODY_LIMIT: usize = 16 << 20;

/// How long a stop waits for requests in flight.
const GRACE: Duration = Duration::from_secs(5);

/// What a server needs besides its door.
pub struct Options {
    /// A loopback address; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// API keys and whose they are. Without any, everyone is account 0.
    pub keys: Vec<(String, AccountId)>,
    /// Where the time comes from.
    pub clock: Clock,
    /// The name in `/v2/models/{name}`.
    pub model_name: String,
    /// `.npy` bytes by name, such as `pool`, served under `/retort/v1/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Largest request body, in bytes.
    pub body_limit: usize,
}

/// Starts servers.
pub struct Server;

/// A server that runs on a thread of its own. Dropping it stops it.
pub struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<Box<dyn Door>>>,
}

impl Server {
    /// Binds the address and serves the door until stopped.
    pub fn start(door: Box<dyn Door>, options: Options) -> Result<Running> {
        let addr = options.addr;
        if !addr.ip().is_loopback() {
            let expected = "a loopback address, such as 127.0.0.1 or ::1";
            return Err(Error::config("serve.host", addr.ip().to_string(), expected));
        }
        let app = state::App::new(door, options)?;
        let named = || Error::io(format!("http://{addr}"));
        let listener = TcpListener::bind(addr).map_err(named())?;
        listener.set_nonblocking(true).map_err(named())?;
        let addr = listener.local_addr().map_err(named())?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| Error::Internal(format!("server threads: {e}")))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("serve".into())
            .spawn(move || run(runtime, listener, Arc::new(app), stopped))
            .map_err(|e| Error::Internal(format!("server thread: {e}")))?;
        Ok(Running { addr, stop, thread })
    }
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Finishes the requests in flight, for 5 s at most, and gives the door back.
    pub fn stop(self) -> Result<Box<dyn Door>> {
        let _ = self.stop.send(()); // an error means that the thread has ended already
        self.thread.join().map_err(|_| Error::Internal("the server thread panicked".into()))?
    }

    /// Serves until SIGINT or SIGTERM, then stops as [`Running::stop`] does.
    pub fn wait_for_signal(self) -> Result<Box<dyn Door>> {
        let failed = |e: std::io::Error| Error::Internal(format!("signals: {e}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        runtime.block_on(signalled(&self.thread)).map_err(failed)?;
        self.stop()
    }
}

/// Ends at the first signal, or when the server's thread ends by itself.
async fn signalled<T>(thread: &JoinHandle<T>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    while !thread.is_finished() {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    Ok(())
}

/// The server's thread: serve, stop, hand the door back.
fn run(
    runtime: Runtime,
    listener: TcpListener,
    app: Arc<state::App>,
    stopped: oneshot::Receiver<()>,
) -> Result<Box<dyn Door>> {
    let door = runtime.block_on(async {
        let failed = |e: std::io::Error| Error::Internal(format!("server: {e}"));
        let socket = socket::Socket::new(listener).map_err(failed)?;
        let (grace, graced) = oneshot::channel::<()>();
        let serving = axum::serve(socket, routes::router(Arc::clone(&app))).with_graceful_shutdown(
            async move {
                let _ = stopped.await; // a dropped handle stops as well
                let _ = grace.send(());
            },
        );
        tokio::select! {
            ended = serving => ended.map_err(failed)?,
            () = async { let _ = graced.await; tokio::time::sleep(GRACE).await } => {}
        }
        app.take_door()
    });
    runtime.shutdown_background();
    door
}

#[cfg(test)]
mod tests;
