//! `retort data check NAME`.

use std::path::PathBuf;

use retort::{Result, data};

use super::args::{Common, Data, DataCommand};
use super::put;

/// Says where a data set comes from and whether its files are here.
pub fn data(args: &Data, common: &Common) -> Result<u8> {
    let DataCommand::Check { name } = &args.command;
    let root = common.data.clone().or_else(|| std::env::var_os("RETORT_DATA").map(PathBuf::from));
    let card = data::card(name)?;
    put(&format!("{}\nsource   {}\nlicence  {}", card.summary(), card.source, card.licence));
    for (file, hash, bytes) in data::check(name, root.as_deref())? {
        put(&format!("{file}  {bytes} bytes  blake3 {hash}"));
    }
    Ok(0)
}
