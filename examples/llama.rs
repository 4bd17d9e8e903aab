//! A model from disk continues a text.
//!
//!     cargo run --release --example llama -- FILE.gguf "prompt" [tokens=64] [threads=N] [chat=yes] [stop=no]
//!
//! FILE may be a folder as Hugging Face lays it out. `chat=yes` asks the prompt as a user's message, `stop=no` goes on
//! after tokens that end a text. The text goes to stdout, tokens a second of reading and of writing to stderr.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::path::Path;
use std::time::Instant;

use retort::model::llama::{Llama, Message, Role};

const USAGE: &str = "usage: llama FILE PROMPT [tokens=64] [threads=N] [chat=yes] [stop=no]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, text, rest @ ..] = &args[..] else { return Err(USAGE.into()) };
    let given = |key: &str| rest.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
    let tokens: usize = given("tokens").unwrap_or("64").parse()?;
    let threads = match given("threads") {
        Some(threads) => threads.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let file = Path::new(file);
    let started = Instant::now();
    let llama = match file.is_dir() {
        true => Llama::from_safetensors(file)?,
        false => Llama::from_gguf(file)?,
    };
    let llama = llama.with_threads(threads)?;
    let loaded = started.elapsed().as_secs_f64();
    let prompt = match given("chat") {
        Some("yes") => llama.conversation(&[Message::new(Role::User, text)], true)?,
        _ => llama.tokenizer().prompt(text)?,
    };
    let stops = if given("stop") == Some("no") { &[][..] } else { llama.stops() };

    let mut session = llama.session();
    let started = Instant::now();
    let mut logits = session.feed(&prompt)?;
    let read = started.elapsed().as_secs_f64();
    let (started, mut new) = (Instant::now(), Vec::new());
    while new.len() < tokens {
        let token =
            (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(b.cmp(&a)));
        new.push(token.ok_or("a model without tokens")? as u32);
        if stops.contains(&new[new.len() - 1]) || session.seen() == llama.plan().context {
            break;
        }
        logits = session.feed(&new[new.len() - 1..])?;
    }
    let wrote = started.elapsed().as_secs_f64();
    println!("{}", llama.tokenizer().decode(&new)?);
    let speed = |tokens: usize, seconds: f64| tokens as f64 / seconds;
    eprintln!(
        "loaded in {loaded:.2} s; {threads} threads; read {} tokens, {:.1} a second; wrote {}, {:.1} a second",
        prompt.len(),
        speed(prompt.len(), read),
        new.len(),
        speed(new.len(), wrote)
    );
    Ok(())
}
