//! Every text defense, held to what it says of itself.

use super::*;
use crate::data::suite::{Capability, Grade, Problem, Ranges, Split, Suite, grade};
use crate::metric::Pairs;
use crate::model::Device;
use crate::model::language::{Corpus, Decoder, Language, Reveal};
use crate::seed::Seed;

const KEY: u64 = 3;

/// Problems of every capability, asked by two accounts in turn.
struct Asking {
    problems: Vec<Problem>,
    accounts: Vec<AccountId>,
    prompts: Vec<Vec<u8>>,
    streams: Vec<Seed>,
}

fn asking(each: usize) -> Asking {
    let suite = Suite::new(Ranges::default()).unwrap();
    let mut rng = Seed::new(1).rng();
    let draw = |i: usize| suite.draw(Capability::ALL[i % 7], Split::Train, &mut rng);
    let problems: Vec<Problem> = (0..7 * each).map(draw).collect();
    let numbers = 0..problems.len() as u32;
    Asking {
        accounts: numbers.clone().map(|i| AccountId(i % 2)).collect(),
        prompts: problems.iter().map(|p| p.prompt.clone()).collect(),
        streams: numbers.map(|i| Seed::new(9).nth("answer", i.into())).collect(),
        problems,
    }
}

/// Answers of the teacher behind a stack, asked in parts of so many.
fn answers(
    stack: &mut TextStack,
    teacher: &Language,
    asking: &Asking,
    part: usize,
    reveal: Option<Reveal>,
) -> Vec<Completion> {
    let sampling = Sampling { temperature: 0.5, ..Sampling::default() };
    let mut all = Vec::new();
    for from in (0..asking.prompts.len()).step_by(part) {
        let to = (from + part).min(asking.prompts.len());
        let batch = TextBatch {
            accounts: &asking.accounts[from..to],
            prompts: &asking.prompts[from..to],
            streams: &asking.streams[from..to],
            sampling,
            most: 48,
            reveal,
        };
        all.extend(stack.answer(teacher, &batch).unwrap());
    }
    all
}

/// The suite's teacher.
fn shipped() -> Language {
    let bytes = include_bytes!("../../../assets/suite-teacher.safetensors");
    Language::from_bytes(bytes, "suite-teacher.safetensors").unwrap().0
}

/// A fresh proxy, and a lesson that it does not know.
fn proxy() -> Proxy {
    let plan = r#"{ "vocabulary": 256, "context": 64, "layers": 1, "heads": 1, "width": 8 }"#;
    let plan: Decoder = serde_json::from_str(plan).unwrap();
    let model = Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap();
    let problem = &asking(1).problems[0];
    let pairs = [(&problem.prompt[..], &problem.answer[..])];
    Proxy { model, lessons: Corpus::of(pairs.into_iter(), 64, 0).unwrap() }
}

fn stack(specs: &[TextDefenseSpec], key: u64) -> TextStack {
    TextStack::build(specs, Seed::new(key), Some(&proxy())).unwrap()
}

/// The teacher as a layer trains it.
fn trained(spec: &TextDefenseSpec, teacher: &Language) -> Language {
    let specs = std::slice::from_ref(spec);
    TextStack::train(specs, teacher, Seed::new(KEY), Some(&proxy())).unwrap()
}

const FULL: Option<Reveal> = Some(Reveal::Own { k: 256 });

fn graded(asking: &Asking, answers: &[Completion]) -> Vec<Grade> {
    let bytes = |answer: &Completion| answer.tokens.iter().map(|&t| t as u8).collect::<Vec<u8>>();
    let all = asking.problems.iter().zip(answers);
    all.map(|(problem, answer)| grade(problem, &bytes(answer))).collect()
}

#[test]
fn every_defense_keeps_what_it_says_it_keeps() {
    let (teacher, asking) = (shipped(), asking(30));
    let clean = answers(&mut TextStack::default(), &teacher, &asking, 64, FULL);
    let clean_grades = graded(&asking, &clean);
    let text = |p: &Problem| p.capability == Capability::Text;
    for spec in TextDefenseSpec::examples() {
        // A proxy that knows nothing has little to say: it takes weight to be heard.
        let spec = match spec {
            TextDefenseSpec::Antidistillation(p) => {
                TextDefenseSpec::Antidistillation(antidistillation::Params { lambda: 300.0, ..p })
            }
            other => other,
        };
        let (kind, changes) = (spec.kind(), spec.changes());
        let teacher = trained(&spec, &teacher);
        let given =
            answers(&mut stack(std::slice::from_ref(&spec), KEY), &teacher, &asking, 64, FULL);
        let tokens = |all: &[Completion]| all.iter().map(|a| a.tokens.clone()).collect::<Vec<_>>();
        assert_eq!(tokens(&given) != tokens(&clean), changes.tokens, "{kind}: tokens");
        let grades = graded(&asking, &given);
        let results = |grades: &[Grade]| -> Vec<Grade> {
            let all = asking.problems.iter().zip(grades).filter(|(p, _)| !text(p));
            all.map(|(_, grade)| *grade).collect()
        };
        let moved = results(&grades) != results(&clean_grades);
        assert_eq!(moved, changes.results, "{kind}: results");
        let mut told = true;
        for (given, clean) in given.iter().zip(&clean).filter(|(g, c)| g.tokens == c.tokens) {
            told &= given.logprobs == clean.logprobs;
        }
        assert!(told || changes.logprobs, "{kind}: log-probabilities");
        for answer in given.iter().filter(|answer| answer.logprobs.is_some()) {
            let probs = answer.logprobs.as_ref().unwrap();
            assert_eq!((probs.len(), probs.vocabulary), (answer.tokens.len(), 256), "{kind}");
        }
    }
}

#[test]
fn answers_depend_on_the_key_alone_and_not_on_how_prompts_are_cut() {
    let (teacher, asking) = (shipped(), asking(8));
    let reveal = Some(Reveal::Steered { k: 4 });
    let mut stacks: Vec<Vec<TextDefenseSpec>> =
        TextDefenseSpec::examples().into_iter().map(|spec| vec![spec]).collect();
    stacks.push(TextDefenseSpec::examples());
    for specs in stacks {
        let whole = answers(&mut stack(&specs, KEY), &teacher, &asking, 64, reveal);
        let cut = answers(&mut stack(&specs, KEY), &teacher, &asking, 9, reveal);
        assert!(whole == cut, "{specs:?}");
    }
    let poison = [TextDefenseSpec::Poison(poison::Params { share: 0.5 })];
    let of = |key| answers(&mut stack(&poison, key), &teacher, &asking, 64, None);
    assert_ne!(of(1), of(2), "another key, other prompts");
}

#[test]
fn only_who_says_so_remembers_what_was_asked() {
    let (teacher, asking) = (shipped(), asking(12));
    let count = asking.prompts.len();
    let back = Asking {
        problems: asking.problems.iter().rev().cloned().collect(),
        accounts: asking.accounts.iter().rev().copied().collect(),
        prompts: asking.prompts.iter().rev().cloned().collect(),
        streams: asking.streams.iter().rev().copied().collect(),
    };
    for spec in TextDefenseSpec::examples() {
        // One canary for an account, so that the order of its prompts decides which.
        let spec = match spec {
            TextDefenseSpec::Canary(p) => {
                TextDefenseSpec::Canary(canary::Params { count: 1, one_in: 1, ..p })
            }
            other => other,
        };
        let specs = std::slice::from_ref(&spec);
        let one = answers(&mut stack(specs, KEY), &teacher, &asking, count, None);
        let mut other = answers(&mut stack(specs, KEY), &teacher, &back, count, None);
        other.reverse();
        assert_eq!(one != other, spec.changes().stateful, "{}", spec.kind());
    }
}

#[test]
fn the_first_layer_is_the_outermost() {
    let hide = TextDefenseSpec::HideScratchpad(hide_scratchpad::Params {});
    let cut = TextDefenseSpec::Truncate(truncate::Params { tokens: 4 });
    let of = |specs: &[TextDefenseSpec]| {
        let asked = Asked { account: AccountId(0), prompt: b"A3+4>" };
        let given = stack(specs, KEY).reply(&asked, prompt::testing::answer("34.7=7\0"));
        prompt::testing::text(&given)
    };
    assert_eq!(of(&[cut.clone(), hide.clone()]), "=7\0");
    assert_eq!(of(&[hide, cut]), "", "cut before its result, nothing is left of it");
}

#[test]
fn every_kind_has_an_example_that_is_read_back_and_slips_are_refused() {
    let mut kinds: Vec<&str> = cards().iter().map(|card| card.kind).collect();
    kinds.dedup();
    assert_eq!(kinds.len(), cards().len());
    for TextDefenseCard { kind, example, paper, .. } in cards() {
        example.check().unwrap();
        let text = toml::to_string(&example).unwrap();
        assert!(text.contains(&format!("kind = \"{kind}\"")) && !paper.is_empty());
        assert_eq!(toml::from_str::<TextDefenseSpec>(&text).unwrap(), example);
        let slip = format!("{text}\nnot-a-setting = 1\n");
        assert!(toml::from_str::<TextDefenseSpec>(&slip).is_err(), "{kind}");
    }
}

#[test]
fn a_watermark_is_found_by_its_key_in_free_text_and_costs_no_results() {
    let (teacher, mut asking) = (shipped(), asking(120));
    let text = |i: &usize| asking.problems[*i].capability == Capability::Text;
    let texts: Vec<usize> = (0..asking.problems.len()).filter(text).collect();
    asking.prompts = texts.iter().map(|&i| asking.prompts[i].clone()).collect();
    let specs = [TextDefenseSpec::Watermark(watermark::Params::default())];
    let score = |given: &[Completion], green: &watermark::GreenList| {
        let mut pairs = Pairs::default();
        for (prompt, answer) in asking.prompts.iter().zip(given) {
            let prompt = prompt.iter().map(|&byte| u16::from(byte));
            let text: Vec<u16> = prompt.chain(answer.tokens.iter().copied()).collect();
            // The first token counts whose context the prompt is.
            pairs.add_text(&text[asking.prompts[0].len() - 2..], 2);
        }
        pairs.score(0.25, |_| true, |context, token| green.is_green(context, token, 256))
    };
    asking.accounts.truncate(texts.len());
    asking.streams.truncate(texts.len());
    let mut marking = stack(&specs, KEY);
    let marked = answers(&mut marking, &teacher, &asking, 64, None);
    let clean = answers(&mut TextStack::default(), &teacher, &asking, 64, None);
    let green = marking.green().unwrap();
    let (marked, clean) = (score(&marked, green), score(&clean, green));
    let other = score(&answers(&mut stack(&specs, 77), &teacher, &asking, 64, None), green);
    assert!(marked.z > 6.0 && marked.p.log10 < -8.0, "{marked:?}");
    assert!(clean.z.abs() < 4.0 && other.z.abs() < 4.0, "{clean:?} {other:?}");
}

#[test]
fn a_defense_that_needs_a_proxy_says_so() {
    let spec =
        TextDefenseSpec::Antidistillation(antidistillation::Params { lambda: 1.0, epsilon: 0.01 });
    let error = TextStack::build(&[spec], Seed::new(1), None).err().unwrap().to_string();
    assert!(error.contains("`antidistillation` and no proxy"), "{error}");
}
