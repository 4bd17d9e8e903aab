//! `retort data check NAME`.

use std::path::PathBuf;

use retort::{Result, data};

use super::args::{Common, Data, DataCommand};
use super::put;

/// Says where a data set comes from and whether its files are here.
pub fn data(args: &Data, common: &Common) -> Result<u8> {
    let DataCommand::Check { name } = &args.command;
    let root = common.data.clone().or_else(|| std::env::var_os("RETORT_DATA").map(PathBuf::from));
    let files = data::check(name, root.as_deref())?;
    for card in data::cards().into_iter().filter(|c| c.name == name) {
        put(&format!(
            "{}: {} rows, {} features, {} classes\nlayout   {}\nsource   {}\nlicence  {}\ncite     {}",
            card.name,
            card.rows,
            card.features,
            card.classes,
            card.layout,
            card.source,
            card.licence,
            card.citation
        ));
    }
    for (file, hash, bytes) in files {
        put(&format!("{file}  {bytes} bytes  blake3 {hash}"));
    }
    Ok(0)
}
