//! `retort serve`: the same gateway on loopback HTTP, for students that live elsewhere.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use retort::data::npy;
use retort::experiment::external::{Session, gateway};
use retort::experiment::folder::write_atomic;
use retort::experiment::plan;
use retort::experiment::world::Ground;
use retort::oracle::AccountId;
use retort::serve::{Clock, Options, Server};
use retort::{Error, Result};

use super::args::{Common, Serve};
use super::{load, put};

/// Serves one arm of a config until it is told to stop, then writes the ledger.
pub fn serve(args: &Serve, common: &Common) -> Result<u8> {
    let loaded = load::load(&args.config, common)?;
    let variant = &loaded.plan.variants[0];
    let spec = &variant.spec;
    let seed = args.seed.unwrap_or_else(|| spec.seeds.values()[0]);
    let queries =
        args.queries.unwrap_or_else(|| spec.budget.queries.iter().copied().max().unwrap_or(1));
    spec.arm(&args.arm)?;
    let key = plan::teacher_key(spec, &loaded.data[0].set.hash, seed);
    let ground = Ground::lay(spec, &loaded.data[0], seed, &key, &loaded.rim)?;
    let session =
        Session { seed, arm: args.arm.clone(), queries, totals: Vec::new(), stages: Vec::new() };
    let (gateway, accounts) = gateway(spec, &ground, &session)?;
    let keys: Vec<(String, AccountId)> = accounts.into_iter().map(|a| (fresh_key(), a)).collect();

    std::fs::create_dir_all(&args.out).map_err(Error::io(&args.out))?;
    let files = shared_files(&ground)?;
    for (name, bytes) in &files {
        write_atomic(&args.out.join(format!("{name}.npy")), bytes)?;
    }
    write_atomic(&args.out.join("sweep.toml"), loaded.resolved.as_bytes())?;
    let lines: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    write_secret(&args.out.join("keys.txt"), &format!("{}\n", lines.join("\n")))?;

    let options = Options {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        keys,
        clock: Clock::Real,
        model_name: spec.teacher.served_name.clone().unwrap_or_else(|| "teacher".into()),
        files,
        body_limit: retort::serve::BODY_LIMIT,
    };
    let running = Server::start(Box::new(gateway), options)?;
    put(&format!("http://{}/v2/models/teacher/infer", running.addr()));
    if !common.quiet {
        eprintln!(
            "arm {}, {queries} queries; keys in {}",
            args.arm,
            args.out.join("keys.txt").display()
        );
        eprintln!("Ctrl-C stops and writes the ledger");
    }
    let door = running.wait_for_signal()?;
    let gateway = door.close()?;
    let session = session.closed(&gateway);
    let text = serde_json::to_vec_pretty(&session).map_err(|e| Error::Internal(e.to_string()))?;
    write_atomic(&args.out.join("session.json"), &text)?;
    if !common.quiet {
        eprintln!("ledger in {}", args.out.join("session.json").display());
    }
    Ok(0)
}

/// What everyone may read: inputs without labels, and the public rows with theirs.
fn shared_files(ground: &Ground) -> Result<BTreeMap<String, Vec<u8>>> {
    Ok(BTreeMap::from([
        ("pool".into(), npy::bytes_f32(ground.pool.view())?),
        ("public".into(), npy::bytes_f32(ground.public.view())?),
        ("public-labels".into(), npy::bytes_labels(&ground.public_labels)?),
        ("test".into(), npy::bytes_f32(ground.truth.inputs.view())?),
    ]))
}

/// A key that nobody can guess: hashes under the operating system's own random keys.
fn fresh_key() -> String {
    let mut bytes = Vec::new();
    for i in 0..4_u64 {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_u64(i);
        bytes.extend(hasher.finish().to_le_bytes());
    }
    format!("rt-{}", &blake3::hash(&bytes).to_hex()[..32])
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(Error::io(path))?;
    file.write_all(text.as_bytes()).map_err(Error::io(path))
}
