//! Bad input, each with exit code 2, the place, what was found, what was expected, and nothing written.

use super::{Sandbox, TINY, text};

/// Runs `config` and checks that the message holds every part.
fn refused(name: &str, config: &str, args: &[&str], parts: &[&str]) {
    let sandbox = Sandbox::new(&format!("bad-{name}"));
    sandbox.write("bad.toml", config);
    let mut all = vec!["run", "bad.toml", "--out", "out"];
    all.extend(args);
    let out = sandbox.retort(&all);
    let message = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{name}: {message}");
    for part in parts {
        assert!(message.contains(part), "{name}: no `{part}` in: {message}");
    }
    assert!(!message.contains("panicked"), "{name}: {message}");
    assert!(!sandbox.path("out").exists(), "{name}: something was written");
}

#[test]
fn bad_configs_are_refused_with_place_and_hint() {
    let swap = |from: &str, to: &str| {
        assert!(TINY.contains(from), "{from}");
        TINY.replacen(from, to, 1)
    };
    let line = |config: &str, word: &str| {
        let n = config.lines().position(|l| l.contains(word)).expect("the word is there") + 1;
        format!("bad.toml:{n}:")
    };
    let c = swap("digits = 1", "digit = 1");
    refused("key", &c, &[], &[&line(&c, "digit ="), "digit", "digits", "did you mean"]);
    let c = swap("kind = \"round\"", "kind = \"rond\"");
    refused("kind", &c, &[], &[&line(&c, "rond"), "`round`"]);
    let c = swap("queries = [20, 40]", "queries = [0, 40]");
    refused("zero", &c, &[], &[&line(&c, "queries ="), "budget.queries[0]", "found 0"]);
    let c = swap("queries = [20, 40]", "queries = [20, 4000]");
    refused("pool", &c, &[], &[&line(&c, "queries ="), "4000", "split.pool = 400"]);
    let c = swap("kind = \"round\", digits = 1", "kind = \"top-k\", k = 11");
    refused("top-k", &c, &[], &[&line(&c, "top-k"), "11", "10"]);
    let c = swap(
        "[{ kind = \"round\", digits = 1 }]",
        "[{ kind = \"round\", digits = 1 }, { kind = \"label-only\" }]",
    );
    refused("fit", &c, &[], &[&line(&c, "label-only"), "defense[0].stack[0]"]);
    let c = swap("seeds = 2", "seeds = 2\ndevice = \"gpu\"");
    refused("device", &c, &[], &["gpu", "cpu"]);
    let c = swap("seeds = 2", "seeds = 2\ndevice = \"cuda:0\"");
    refused("cuda", &c, &[], &["cuda:0"]);
    let c = swap("[teacher]", "[teacher]\nkind = \"loopback\"\nurl = \"http://example.com:8000\"");
    refused("remote", &c, &[], &["teacher.url", "example.com", "127.0.0.1"]);
    let c = swap("[teacher]", "[teacher]\ndataset = \"digts\"");
    refused("dataset", &c, &[], &["digts", "digits"]);
    let c = swap(
        "kind = \"round\", digits = 1",
        "kind = \"rate-limit\", queries = 5, per = \"day\", burst = 5",
    );
    refused("days", &c, &[], &["budget.days", "rate limit"]);
    refused("override", TINY, &["budget.querys=3"], &["command line", "querys", "queries"]);
    refused("syntax", "name = \n", &[], &["bad.toml:1:"]);
}

#[test]
fn students_that_can_make_nothing_of_an_api_are_refused_before_anything_is_asked() {
    let soft = "objective = { kind = \"soft-labels\" }";
    let student = |text: &str| TINY.replacen(soft, text, 1);
    let labels = |config: String| config.replace("[budget]", "[api]\nreveal = \"label\"\n[budget]");
    // No arm but `none` and nothing but the API in the way.
    let bare = |config: String| {
        let (start, end) = (
            config.find("[[defense]]").expect("it"),
            config.find("[[student]]").expect("is there"),
        );
        format!("{}{}", &config[..start], &config[end..])
    };
    let c = bare(labels(student("objective = { kind = \"dkd\" }")));
    refused("dkd", &c, &[], &["student[0].objective.kind", "`dkd`", "labels"]);
    let c = bare(labels(student("strategy = { kind = \"equations\" }")));
    refused("equations", &c, &[], &["student[0].strategy.kind", "`equations`"]);
    let c = student("objective = { kind = \"dist\" }\nrecovery = { kind = \"top1\" }");
    refused("top1", &c, &[], &["student[0].objective.kind", "`dist`"]);
    let c =
        student("objective = { kind = \"dist\" }").replace("steps = 60", "steps = 60\nshards = 2");
    refused("shards", &c, &[], &["training.shards", "`soft`"]);
    let c = student("strategy = { kind = \"jb-self\" }")
        .replace("[measure]", "[split]\npublic = 0\n[measure]");
    refused("public", &c, &[], &["split.public", "jb-self"]);
    let c = student("strategy = { kind = \"data-free\", generator-rat = 0.1 }");
    refused("data-free", &c, &[], &["generator-rat", "generator-rate", "did you mean"]);
    let c = student("strategy = { kind = \"copycat\" }");
    refused("copycat", &c, &[], &["student[0].objective.kind", "hard-label"]);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_refused() {
    let sandbox = Sandbox::new("unwritable");
    sandbox.write("tiny.toml", TINY);
    sandbox.write("file", "not a folder");
    let out = sandbox.retort(&["run", "tiny.toml", "--out", "file/run"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("file/run"), "{}", text(&out.stderr));
}

#[test]
fn a_folder_of_another_sweep_is_refused() {
    let sandbox = Sandbox::new("other");
    sandbox.write("tiny.toml", TINY);
    assert!(sandbox.retort(&["run", "tiny.toml", "--out", "r", "-q"]).status.success());
    let out = sandbox.retort(&["run", "tiny.toml", "training.steps=61", "--out", "r"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("another sweep"), "{}", text(&out.stderr));
}
