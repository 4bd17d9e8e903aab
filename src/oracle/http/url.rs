//! Addresses on this machine, and no others.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Result};

/// The base addresses to try for `url`, in order. Refuses, before anything is connected, all but
/// `http://HOST[:PORT][/]` where the host is in 127.0.0.0/8, `[::1]` or `localhost`. The name
/// `localhost` is not looked up: it means 127.0.0.1, else `[::1]`.
pub fn loopback(url: &str) -> Result<Vec<String>> {
    let refuse = || {
        // What comes before an @ may be a password.
        let shown = if url.contains('@') { "an address with `@`" } else { url };
        let expected = "http://127.0.0.1:PORT, http://[::1]:PORT or http://localhost:PORT";
        Error::config("teacher.url", shown, expected)
    };
    let (scheme, rest) = url.split_at_checked(7).ok_or_else(refuse)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return Err(refuse());
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, parse_port(port)),
        _ => (authority, Some(80)),
    };
    let port = port.ok_or_else(refuse)?;
    Ok(hosts(host).ok_or_else(refuse)?.iter().map(|h| format!("http://{h}:{port}")).collect())
}

fn hosts(host: &str) -> Option<Vec<String>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(vec!["127.0.0.1".into(), "[::1]".into()]);
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        let ip: Ipv6Addr = inner.parse().ok()?;
        return ip.is_loopback().then(|| vec![format!("[{ip}]")]);
    }
    // Rust reads four decimal numbers without leading zeros, and nothing else, as an IPv4 address.
    let ip: Ipv4Addr = host.parse().ok()?;
    ip.is_loopback().then(|| vec![ip.to_string()])
}

fn parse_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    port.parse().ok().filter(|&p| digits && p > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reachable() {
        for url in [
            "https://127.0.0.1",
            "http://example.com",
            "http://10.0.0.1:8000",
            "http://0.0.0.0:8000",
            "http://[::]:8000",
            "http://[::ffff:127.0.0.1]:8000",
            "http://[::1%25lo]:8000",
            "http://::1:8000",
            "http://127.0.0.1@evil/",
            "http://127.0.0.1:80@evil/",
            "http://user:word@127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "http://localhost./",
            "http://127.0.0.1\\@evil/",
            "http://127.0.0.1#@evil/",
            "http://127.0.0.1?x=1",
            "http://127.0.0.1/v2/models",
            "http://127.0.0.1:/",
            "http://127.0.0.1:0",
            "http://127.0.0.1:+80",
            "http://127.0.0.1:99999",
            "http://128.0.0.1",
            " http://127.0.0.1",
            "http://127.0.0.1\r\nHost: evil",
            "http:///127.0.0.1",
            "http://",
            "127.0.0.1:8000",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "http://１27.0.0.1",
            "",
        ] {
            assert!(matches!(loopback(url), Err(Error::Config(_))), "{url}");
        }
    }

    #[test]
    fn this_machine_has_many_names() {
        assert_eq!(loopback("http://127.0.0.1:8000/").unwrap(), ["http://127.0.0.1:8000"]);
        assert_eq!(loopback("http://127.8.9.1").unwrap(), ["http://127.8.9.1:80"]);
        assert_eq!(loopback("HTTP://[::1]:81").unwrap(), ["http://[::1]:81"]);
        assert_eq!(loopback("http://[0:0::1]").unwrap(), ["http://[::1]:80"]);
        assert_eq!(
            loopback("http://LocalHost:9").unwrap(),
            ["http://127.0.0.1:9", "http://[::1]:9"]
        );
    }

    #[test]
    fn a_password_is_not_repeated() {
        let text = loopback("http://me:secret@127.0.0.1").unwrap_err().to_string();
        assert!(!text.contains("secret"), "{text}");
    }
}
