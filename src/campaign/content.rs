//! What requests are about, as vectors of length 1: they stand in for embeddings of prompts.
//!
//! A topic is a point on the sphere. An honest request lies around its topic's point. A campaign fills in
//! templates: each of its requests lies close around one of them, and templates lie where honest requests do.
//! So no single request tells the sides apart: what does is how often one comes back, and to how few topics.
//! Narrow honest accounts have templates of their own.
//!
//! Topics and templates are the same in all replicates of a scenario, so that a detector calibrated on one
//! population meets the same world in another.

use super::account::Account;
use super::draw::{Draws, Purpose, below, happens, threshold};
use super::exchange::Request;
use super::quantile::Quantiles;
use super::rules::Rules;
use super::spec::{ActorSpec, Scenario};

/// Templates of a narrow honest account.
const OWN_TEMPLATES: u32 = 5;
/// Draws that belong to no account: points of topics, templates of actors, honest requests to compare with.
const TOPIC: u32 = u32::MAX;
const TEMPLATE: u32 = u32::MAX - 1;
const REFERENCE: u32 = u32::MAX - 2;
/// Coordinates whose signs make a cell.
const CELL_BITS: usize = 8;

/// Where topics and templates lie.
pub struct Content {
    dimensions: usize,
    /// Length of the scatter around a point of length 1: of honest requests and templates around a topic's,
    /// and of requests around a template's.
    spread: f32,
    near: f32,
    topics: Vec<f32>,
    actors: Vec<Templates>,
    normal: Quantiles,
    /// Draws that all replicates share.
    fixed: Draws,
}

struct Templates {
    points: Vec<f32>,
    /// Chance that a request fills in one of the first 1, 2, ... templates, as thresholds.
    up_to: Vec<u64>,
}

/// What detectors can read off a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub topic: u8,
    /// Topic and the signs of some coordinates: requests that fill in the same template mostly share it.
    pub cell: u32,
}

impl Content {
    /// The world of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let spec = &scenario.content;
        let mut content = Self {
            dimensions: spec.dimensions,
            spread: spec.spread as f32,
            near: spec.template_spread as f32,
            topics: Vec::new(),
            actors: Vec::new(),
            normal: Quantiles::normal(),
            fixed: Draws::shared(scenario.scenario.seed),
        };
        let mut point = Vec::new();
        for topic in 0..u32::from(scenario.benign.topics) {
            point.clear();
            point.resize(content.dimensions, 0.0);
            content.scatter(&content.fixed, [TOPIC, topic, 0], 1.0, &mut point);
            content.topics.extend(&point);
        }
        for (place, actor) in scenario.actor.iter().enumerate() {
            let templates = content.templates(place as u32, actor, scenario.benign.topics);
            content.actors.push(templates);
        }
        content
    }

    fn templates(&self, place: u32, actor: &ActorSpec, topics: u16) -> Templates {
        let mut points = Vec::with_capacity(actor.templates as usize * self.dimensions);
        let mut point = Vec::new();
        for template in 0..actor.templates {
            let topic = topic_of_template(place, template, actor.topic_focus, topics);
            self.around(self.topic(topic), &self.fixed, [TEMPLATE, template, place], &mut point);
            points.extend(&point);
        }
        Templates { points, up_to: zipf(actor.templates, actor.template_zipf) }
    }

    /// Numbers of a vector.
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The point of a topic.
    fn topic(&self, topic: u8) -> &[f32] {
        &self.topics[usize::from(topic) * self.dimensions..][..self.dimensions]
    }

    /// Writes the `nth` of honest requests that belong to no account into `out`: topics take turns.
    pub fn honest_at(&self, nth: u32, out: &mut Vec<f32>) {
        let topic = nth as usize % (self.topics.len() / self.dimensions);
        self.around(self.topic(topic as u8), &self.fixed, [REFERENCE, nth, 0], out);
    }

    /// A point around another.
    fn around(&self, point: &[f32], draws: &Draws, address: [u32; 3], out: &mut Vec<f32>) {
        out.clear();
        out.extend_from_slice(point);
        self.scatter(draws, address, self.spread, out);
    }

    /// Adds a normal vector of this expected length, and brings the sum to length 1.
    fn scatter(&self, draws: &Draws, [who, nth, epoch]: [u32; 3], length: f32, out: &mut [f32]) {
        let each = length / libm::sqrtf(self.dimensions as f32);
        for (block, four) in (0..).zip(out.chunks_mut(4)) {
            let words = draws.words_at(who, Purpose::Vector, block, epoch, nth);
            four.iter_mut().zip(words).for_each(|(x, w)| *x += each * self.normal.at(w));
        }
        let square: f32 = out.iter().map(|x| x * x).sum();
        let by = 1.0 / libm::sqrtf(square).max(f32::MIN_POSITIVE);
        out.iter_mut().for_each(|x| *x *= by);
    }

    /// What the request at hand is about; its vector is written into `vector` if `wanted`.
    pub fn of(
        &self,
        rules: &Rules,
        account: &Account,
        request: &Request,
        alike: bool,
        wanted: bool,
        vector: &mut Vec<f32>,
    ) -> Subject {
        let address = account.nth ^ (1 << 31);
        let [_, word, focus, which] =
            rules.draws.words(account.id, Purpose::Content, account.epoch, address);
        let here = [account.id, account.nth, account.epoch];
        let topics = rules.honest.spec.topics;
        if request.attack {
            let place = u32::from(account.party) - 1;
            let Templates { points, up_to } = &self.actors[place as usize];
            let template = up_to.partition_point(|&t| t <= u64::from(word));
            let focus = rules.actors[place as usize].spec.topic_focus;
            let topic = topic_of_template(place, template as u32, focus, topics);
            if wanted {
                vector.clear();
                vector.extend(&points[template * self.dimensions..][..self.dimensions]);
                self.scatter(&rules.draws, here, self.near, vector);
            }
            return Subject::new(topic, vector);
        }
        let topic = honest_topic(rules, account, word, focus);
        if wanted && alike {
            // A template of its own, filled in anew.
            let template = [account.id, below(which, OWN_TEMPLATES), u32::MAX];
            self.around(self.topic(topic), &rules.draws, template, vector);
            self.scatter(&rules.draws, here, self.near, vector);
        } else if wanted {
            self.around(self.topic(topic), &rules.draws, here, vector);
        }
        Subject::new(topic, vector)
    }
}

impl Subject {
    fn new(topic: u8, vector: &[f32]) -> Self {
        let signs = vector.iter().take(CELL_BITS).map(|x| u32::from(*x > 0.0));
        Self { topic, cell: signs.fold(u32::from(topic), |cell, sign| cell << 1 | sign) }
    }
}

/// An actor's templates are spread over a few topics of its own.
fn topic_of_template(place: u32, template: u32, focus: u16, topics: u16) -> u8 {
    (((place + 1) * 7 + template % u32::from(focus)) % u32::from(topics)) as u8
}

/// An honest account asks mostly about a few topics of its own.
fn honest_topic(rules: &Rules, account: &Account, word: u32, focus: u32) -> u8 {
    let topics = u32::from(rules.honest.spec.topics);
    if u64::from(focus) >= rules.honest.focus {
        return below(word, topics) as u8;
    }
    let own = if account.power_user { 1 } else { 4 };
    ((account.id.wrapping_mul(2_654_435_769) >> 8).wrapping_add(below(word, own) * 17) % topics)
        as u8
}

/// Whether a request looks like a campaign's, to a test of content whose power was measured elsewhere.
pub fn alike(rules: &Rules, account: &Account, request: &Request) -> bool {
    if request.attack || !account.power_user {
        return request.attack;
    }
    let address = account.nth ^ (1 << 31);
    let [like, ..] = rules.draws.words(account.id, Purpose::Content, account.epoch, address);
    happens(like, rules.honest.spec.power_users_alike)
}

/// Zipf's law over `n` ranks: the chance of rank r falls as r^-exponent.
fn zipf(n: u32, exponent: f64) -> Vec<u64> {
    let weight = |rank: u32| libm::exp(-exponent * libm::log(f64::from(rank)));
    let sum: f64 = (1..=n).map(weight).sum();
    let mut so_far = 0.0;
    let mut up_to: Vec<u64> = (1..=n)
        .map(|rank| {
            so_far += weight(rank) / sum;
            threshold(so_far)
        })
        .collect();
    up_to.last_mut().into_iter().for_each(|last| *last = 1 << 32);
    up_to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        let text = r#"
            scenario = { name = "c", schema = 1, seed = 1 }
            actor = [{ name = "a", exchanges = 10, accounts = 1 }]
        "#;
        Content::new(&toml::from_str(text).unwrap())
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_have_length_one_and_lie_nearer_to_their_topic_than_to_others() {
        let content = content();
        let mut out = Vec::new();
        let mut nearest = 0;
        for nth in 0..500 {
            content.honest_at(nth, &mut out);
            assert!((cosine(&out, &out) - 1.0).abs() < 1e-5);
            let best = (0..64).max_by(|&a, &b| {
                cosine(&out, content.topic(a)).total_cmp(&cosine(&out, content.topic(b)))
            });
            nearest += u32::from(best == Some((nth % 64) as u8));
        }
        assert!(nearest > 350, "{nearest} of 500");
    }

    #[test]
    fn templates_lie_as_honest_requests_do() {
        let content = content();
        let dimensions = content.dimensions;
        let topic = topic_of_template(0, 0, 4, 64);
        let own = content.topic(topic);
        let of_templates: Vec<f32> = content.actors[0]
            .points
            .chunks(dimensions)
            .step_by(4)
            .map(|t| cosine(t, own))
            .collect();
        let mut out = Vec::new();
        let of_people: Vec<f32> = (0..50)
            .map(|i| {
                content.honest_at(64 * i + u32::from(topic), &mut out);
                cosine(&out, own)
            })
            .collect();
        let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
        assert_eq!(of_templates.len(), 50);
        assert!((mean(&of_templates) - mean(&of_people)).abs() < 0.05);
    }

    #[test]
    fn zipf_gives_the_second_rank_half_of_the_first_at_exponent_one() {
        let up_to = zipf(3, 1.0);
        let share = |i: usize| up_to[i] as f64 / 4_294_967_296.0;
        assert!((share(0) - 6.0 / 11.0).abs() < 1e-9);
        assert!((share(1) - share(0) - 3.0 / 11.0).abs() < 1e-9);
        assert_eq!(up_to[2], 1 << 32);
    }
}
