//! The gateway behind HTTP on loopback. The only room that knows tokio and axum.
