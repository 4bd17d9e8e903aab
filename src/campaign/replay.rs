//! Recorded traffic dealt to honest accounts and played again and again.

use std::sync::Arc;

use super::draw::{below, philox};
use crate::data::traffic::Traffic;
use crate::ledger::Tick;

/// Sessions are dealt alike in all replicates: who asks what is no part of what is drawn.
const DEAL: u32 = 0x6465_616C;

/// Who asks which request of a trace.
pub struct Replay {
    traffic: Arc<Traffic>,
    period_us: u64,
    /// Places of requests, account by account, each in the order of time.
    places: Vec<u32>,
    /// Where each account's places begin.
    starts: Vec<u32>,
}

impl Replay {
    /// Deals the sessions of a trace, or its single requests, to so many accounts.
    pub fn new(traffic: &Arc<Traffic>, accounts: u32) -> Self {
        let owner = |i: usize| {
            let session = traffic.requests[i].session.unwrap_or(i as u64);
            let [word, ..] = philox([session as u32, (session >> 32) as u32, 0, DEAL], [0, 0]);
            below(word, accounts)
        };
        let owners: Vec<u32> = (0..traffic.requests.len()).map(owner).collect();
        let mut places: Vec<u32> = (0..owners.len() as u32).collect();
        places.sort_by_key(|&i| owners[i as usize]);
        let start = |a: u32| places.partition_point(|&i| owners[i as usize] < a) as u32;
        let starts = (0..=accounts).map(start).collect();
        Self { traffic: Arc::clone(traffic), period_us: traffic.period_us(), places, starts }
    }

    fn own(&self, account: u32) -> &[u32] {
        let at = |a: u32| self.starts[a as usize] as usize;
        &self.places[at(account)..at(account + 1)]
    }

    /// When an account makes its `nth` request; none if it has none.
    pub fn time(&self, account: u32, nth: u32) -> Option<Tick> {
        let own = self.own(account);
        let round = u64::from(nth.checked_div(own.len() as u32)?);
        let place = own[nth as usize % own.len()];
        let at = self.traffic.requests[place as usize].at_us;
        Some(Tick(at + round * self.period_us))
    }

    /// Tokens of its `nth` prompt and answer.
    pub fn lengths(&self, account: u32, nth: u32) -> (u32, u32) {
        let own = self.own(account);
        let request = &self.traffic.requests[own[nth as usize % own.len()] as usize];
        (request.input, request.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::traffic::Recorded;

    #[test]
    fn every_request_is_made_once_a_round_by_the_owner_of_its_session() {
        let request = |i: u64| Recorded {
            at_us: 1_000 * i,
            session: Some(i / 3),
            input: i as u32 + 1,
            output: 2,
        };
        let requests = (0..30).map(request).collect();
        let traffic = Arc::new(Traffic { requests, hash: String::new() });
        let replay = Replay::new(&traffic, 4);
        let mut seen = Vec::new();
        for account in 0..4 {
            let n = replay.own(account).len() as u32;
            let times: Vec<u64> = (0..2 * n).map(|k| replay.time(account, k).unwrap().0).collect();
            assert!(times.is_sorted());
            for k in 0..n {
                let input = replay.lengths(account, k).0;
                assert_eq!(times[k as usize], 1_000 * u64::from(input - 1));
                assert_eq!(times[(k + n) as usize] - times[k as usize], traffic.period_us());
                seen.push((u64::from(input - 1) / 3, account, input));
            }
        }
        seen.sort_unstable();
        assert_eq!(seen.len(), 30);
        assert!(seen.chunk_by(|a, b| a.0 == b.0).all(|s| s.iter().all(|r| r.1 == s[0].1)));
        assert_eq!(
            Replay::new(&traffic, 100).time(1, 0).is_some(),
            !Replay::new(&traffic, 100).own(1).is_empty()
        );
    }
}
