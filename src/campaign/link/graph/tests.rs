use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::propagate::propagate;
use super::*;
use crate::seed::{Seed, below};

fn linker(min_shared: u32, min_weight: f64, max_degree: u32) -> Linker {
    Params { min_shared, min_weight, max_degree }.build().unwrap()
}

/// Uses from (account, resource) in any order.
fn sorted(uses: impl IntoIterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    uses.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Pairs by comparing all accounts, components by flooding.
fn by_search(n: u32, uses: &[(u32, u32)], rule: &Linker) -> (Vec<(u32, u32)>, Vec<u32>) {
    let users = |r: u32| uses.iter().filter(|u| u.1 == r).count();
    let joined = |a: u32, b: u32| {
        let of = |x: u32| uses.iter().filter(move |u| u.0 == x).map(|u| u.1);
        let shared: Vec<u32> = of(a)
            .filter(|r| of(b).any(|s| s == *r) && users(*r) <= rule.max_degree as usize)
            .collect();
        let weight: f64 = shared.iter().map(|r| (f64::from(n) / users(*r) as f64).ln()).sum();
        shared.len() >= rule.min_shared as usize && weight >= rule.min_weight
    };
    let pairs: Vec<(u32, u32)> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .filter(|(a, b)| joined(*a, *b))
        .collect();
    let mut label: Vec<u32> = (0..n).collect();
    for _ in 0..n {
        for (a, b) in &pairs {
            let smallest = label[*a as usize].min(label[*b as usize]);
            label[*a as usize] = smallest;
            label[*b as usize] = smallest;
        }
    }
    (pairs, label)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn components_equal_a_search_of_all_pairs(
        uses in proptest::collection::vec((0_u32..12, 0_u32..9), 0..50),
        min_shared in 1_u32..4,
        max_degree in 2_u32..8,
        min_weight in prop_oneof![Just(0.0), Just(0.9), Just(1.7)],
    ) {
        let uses = sorted(uses);
        let rule = linker(min_shared, min_weight, max_degree);
        let joined = rule.join(12, &uses).unwrap();
        let (pairs, label) = by_search(12, &uses, &rule);
        prop_assert_eq!(joined.pairs.iter().map(|p| (p.a, p.b)).collect::<Vec<_>>(), pairs);
        let clusters = joined.components();
        for a in 0..12 {
            for b in 0..12 {
                prop_assert_eq!(clusters.of[a] == clusters.of[b], label[a] == label[b]);
            }
        }
        let accounts: u32 = clusters.list.iter().map(|c| c.size).sum();
        let inside: u64 = clusters.list.iter().map(|c| c.pairs).sum();
        prop_assert_eq!((accounts, inside), (12, joined.pairs.len() as u64));
    }
}

#[test]
fn accounts_that_share_a_card_and_an_address_are_one_cluster_with_their_weight() {
    // Card 0: accounts 1 and 3. Address 1: 1, 3 and 4. Address 2: all six.
    let uses =
        sorted([(1, 0), (3, 0), (1, 1), (3, 1), (4, 1)].into_iter().chain((0..6).map(|a| (a, 2))));
    let joined = linker(2, 0.0, 5).join(6, &uses).unwrap();
    assert_eq!(joined.left_out, 1);
    let clusters = joined.components();
    assert_eq!(clusters.of, [0, 1, 2, 1, 3, 4]);
    let cluster = clusters.list[1];
    assert_eq!((cluster.size, cluster.pairs), (2, 1));
    assert!((cluster.mean_weight - (3.0_f64.ln() + 2.0_f64.ln())).abs() < 1e-15);
}

#[test]
fn an_address_that_all_use_joins_nobody_when_a_weight_is_asked() {
    let uses = sorted((0..40).map(|a| (a, 7)));
    assert_eq!(linker(1, 0.0, 50).join(40, &uses).unwrap().components().list.len(), 1);
    assert_eq!(linker(1, 0.1, 50).join(40, &uses).unwrap().components().list.len(), 40);
}

#[test]
fn lists_out_of_order_and_unknown_accounts_are_refused() {
    let rule = linker(1, 0.0, 50);
    assert!(rule.join(3, &[(1, 0), (0, 0)]).is_err());
    assert!(rule.join(3, &[(1, 0), (1, 0)]).is_err());
    assert!(rule.join(3, &[(3, 0)]).is_err());
    assert_eq!(rule.join(0, &[]).unwrap().components().list, []);
    assert!(Params { min_shared: 0, min_weight: 0.0, max_degree: 50 }.build().is_err());
    assert!(Params { min_shared: 1, min_weight: f64::NAN, max_degree: 50 }.build().is_err());
    assert!(Params { min_shared: 1, min_weight: 0.0, max_degree: 1 }.build().is_err());
}

#[test]
fn two_hundred_thousand_accounts_on_half_a_million_uses_are_linked() {
    // 100,000 honest accounts with two resources of their own, and farms of ten on a card and two
    // addresses each; everyone also on one of 5,000 networks of 40.
    let mut rng = Seed::new(1).rng();
    let mut uses = Vec::new();
    for a in 0..200_000_u32 {
        uses.push((a, below(&mut rng, 5_000) as u32));
        if a < 100_000 {
            uses.push((a, 5_000 + a));
        } else {
            uses.extend([(a, 200_000 + a / 10), (a, 300_000 + a / 10)]);
        }
    }
    uses.sort_unstable();
    assert_eq!(uses.len(), 500_000);
    let joined = linker(2, 0.0, 50).join(200_000, &uses).unwrap();
    let clusters = joined.components();
    let farms = clusters.list.iter().filter(|c| c.size >= 5);
    assert_eq!(farms.clone().count(), 10_000);
    assert!(farms.clone().all(|c| c.size == 10 && c.pairs == 45 && c.mean_weight > 19.0));
    assert_eq!(clusters.list.len(), 110_000);
    assert_eq!(propagate(&joined, 20, Seed::new(2)), clusters, "a farm is a clique");
}

#[test]
fn resources_at_the_cap_are_compared_and_those_beyond_it_are_left_out() {
    // The most work that half a million uses can make at a cap of 50: 12 million comparisons.
    let spread = |r: u32| (0..50).map(move |j| ((r * 7_919 + j * 4_001) % 200_000, r));
    let uses = sorted((0..10_000).flat_map(spread));
    assert_eq!(uses.len(), 500_000);
    let (at, beyond) = (linker(2, 0.0, 50), linker(1, 0.0, 49));
    assert_eq!(at.join(200_000, &uses).unwrap().left_out, 0);
    let beyond = beyond.join(200_000, &uses).unwrap();
    assert_eq!((beyond.left_out, beyond.pairs.len()), (10_000, 0));
}
