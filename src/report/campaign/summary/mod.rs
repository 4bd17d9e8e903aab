//! Derived numbers: pure functions over the records of a campaign.

pub(super) mod curves;
pub(super) mod difference;
pub(super) mod front;
pub(super) mod gather;
pub(super) mod learning;
pub(super) mod measure;
pub(super) mod money;
pub(super) mod precision;
pub(super) mod settings;
pub(super) mod sides;
pub(super) mod spread;
