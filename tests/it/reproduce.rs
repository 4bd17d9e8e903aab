//! `retort reproduce`, from the outside.

use super::{Sandbox, text};

const CONFIG: &str = r#"
name = "small"
seeds = [1, 2]
[split]
teacher = 300
pool = 60
public = 10
traffic = 10
test = 300
[teacher]
model = { kind = "logistic" }
training = { epochs = 40 }
[traffic]
accounts = 0
[budget]
queries = [50]
[training]
steps = 100
[[student]]
name = "s"
model = { kind = "logistic" }
"#;

fn rows(published: &str) -> String {
    format!(
        "paper = \"A paper\"\nquick = true\n[[row]]\nname = \"teacher\"\npublished = \"{published}\"\ntag = \"V\"\n\
         source = \"table 1\"\nrole = \"teacher\"\nmetric = \"accuracy\"\n[[row]]\nname = \"a question\"\n\
         tag = \"D\"\nsource = \"ours\"\nrule = \"open\"\nmetric = \"agreement\"\nstudent = \"s\"\nbudget = 50\n"
    )
}

#[test]
fn a_row_is_judged_and_a_difference_ends_with_five() {
    let sandbox = Sandbox::new("reproduce");
    for (name, published) in [("01_near", "93"), ("02_far", "20")] {
        sandbox.write(&format!("experiments/{name}/config.toml"), CONFIG);
        sandbox.write(&format!("experiments/{name}/expected.toml"), &rows(published));
    }
    let near = sandbox.retort(&["reproduce", "01_near"]);
    assert_eq!(near.status.code(), Some(0), "{}", text(&near.stderr));
    let table = text(&near.stdout);
    assert!(
        table.contains("| 01_near | teacher | 93 % |") && table.contains("| within |"),
        "{table}"
    );
    assert!(
        table.contains("| 01_near | a question | - |") && table.contains("| open |"),
        "{table}"
    );
    assert!(text(&near.stderr).contains("1 rows judged: 1 of 1 stochastic rows within"));

    let all = sandbox.retort(&["reproduce", "--all", "--quick", "--format", "csv"]);
    assert_eq!(all.status.code(), Some(5), "{}", text(&all.stderr));
    let table = text(&all.stdout);
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.contains("within") && table.contains("DIFFERS"), "{table}");
}

#[test]
fn an_unknown_experiment_and_an_unreadable_row_are_refused() {
    let sandbox = Sandbox::new("reproduce-bad");
    sandbox.write("experiments/01_near/config.toml", CONFIG);
    sandbox.write("experiments/01_near/expected.toml", &rows("90").replace("\"V\"", "\"M\""));
    let unknown = sandbox.retort(&["reproduce", "01_naer"]);
    assert_eq!(unknown.status.code(), Some(2));
    let message = text(&unknown.stderr);
    assert!(message.contains("did you mean `01_near`?"), "{message}");
    let bad = sandbox.retort(&["reproduce", "01_near"]);
    assert_eq!(bad.status.code(), Some(2));
    let message = text(&bad.stderr);
    assert!(
        message.contains("expected.toml:6:7") && message.contains("unknown tag `M`"),
        "{message}"
    );
    assert!(!sandbox.path("runs").exists(), "nothing is written");

    // A good one before one whose data are missing is not begun.
    sandbox.write("experiments/01_near/expected.toml", &rows("93"));
    sandbox.write("experiments/02_far/expected.toml", &rows("93"));
    let mnist = CONFIG.replace("[teacher]", "[teacher]\ndataset = \"mnist\"");
    sandbox.write("experiments/02_far/config.toml", &mnist);
    let missing = sandbox.retort(&["reproduce", "--all"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("RETORT_DATA"), "{}", text(&missing.stderr));
    assert!(!sandbox.path("runs").exists(), "nothing is written");
}
