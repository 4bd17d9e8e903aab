//! stub
use crate::error::Result;
use crate::experiment::campaign::record::{Assumption, CampaignRecord};
use crate::report::table::Format;
use std::collections::BTreeMap;
/// stub
pub struct Pages {
    /// stub
    pub files: BTreeMap<String, Vec<u8>>,
    text: String,
}
impl Pages {
    /// stub
    pub fn table(&self, _: Format) -> String {
        self.text.clone()
    }
}
/// stub
pub fn build(records: &[CampaignRecord], _: &str, _: &str, _: &[Assumption]) -> Result<Pages> {
    let mut text = String::new();
    for r in records {
        if let Some(o) = &r.outcome {
            for a in &o.actors {
                let p = a.points.last().unwrap();
                text += &format!(
                    "{} {} {}: attack {} useful {} usd {:.0} closed {} leak {:?} roc {:?}\n",
                    r.variant,
                    r.arm,
                    a.name,
                    p.sums.attack,
                    p.sums.useful,
                    p.usd.total(),
                    a.closed,
                    a.leak_before_ban,
                    o.roc.iter().map(|r| r.auc).collect::<Vec<_>>()
                );
            }
            let p = o.honest.points.last().unwrap();
            text += &format!(
                "   honest wanted {} lost {} wrong {} wait {} hash {}\n",
                p.sums.wanted,
                p.sums.lost(),
                o.honest.closed,
                p.wait_p95_s,
                o.state_hash
            );
        }
    }
    Ok(Pages { files: BTreeMap::new(), text })
}
