//! Every shipped config parses and plans.

use super::{Sandbox, root, text};

#[test]
fn every_config_parses_and_plans() {
    let sandbox = Sandbox::new("configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("configs")).expect("configs/").flatten() {
        let path = entry.path();
        let file = path.to_string_lossy().into_owned();
        let out = sandbox.retort(&["plan", &file, "--format", "csv"]);
        let needs_data = text(&out.stderr).contains("RETORT_DATA");
        assert!(out.status.success() || needs_data, "{file}: {}", text(&out.stderr));
        assert!(needs_data || text(&out.stdout).lines().count() > 10, "{file} plans no cells");
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} configs");
}

#[test]
fn the_resolved_config_runs_again_as_it_is() {
    let sandbox = Sandbox::new("resolved");
    let config = root().join("configs/quickstart.toml").to_string_lossy().into_owned();
    let first = sandbox.retort(&["check", &config, "--resolved"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    sandbox.write("again.toml", &text(&first.stdout));
    let second = sandbox.retort(&["check", "again.toml", "--resolved"]);
    assert_eq!(text(&first.stdout), text(&second.stdout), "{}", text(&second.stderr));
}

#[test]
fn every_expected_row_reads_and_its_config_too() {
    use retort::experiment::config::Source;
    use retort::experiment::spec::Spec;
    use retort::report::reproduce::Expected;

    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("experiments")).expect("experiments/").flatten() {
        let file = entry.path().join("expected.toml");
        let Ok(rows) = std::fs::read_to_string(&file) else { continue };
        let name = file.display().to_string();
        let expected: Expected =
            Source::read(&name, &rows).unwrap().parse().unwrap_or_else(|e| panic!("{e}"));
        expected.check().unwrap_or_else(|e| panic!("{name}: {e}"));
        for config in expected.configs() {
            let path = entry.path().join(config);
            let config = std::fs::read_to_string(&path).expect("a config beside the rows");
            let source = Source::read(&path.display().to_string(), &config).unwrap();
            let spec: Spec = source.parse().unwrap_or_else(|e| panic!("{e}"));
            spec.validate().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let students: Vec<&str> = spec.student.iter().map(|s| &s.name[..]).collect();
            for row in expected.row.iter().filter(|row| path.ends_with(&row.config)) {
                let known = row.student.is_empty() || students.contains(&&row.student[..]);
                assert!(known, "{name}: row `{}` names `{}`", row.name, row.student);
                let budget = row.budget == 0 || spec.budget.queries.contains(&row.budget);
                assert!(budget, "{name}: row `{}` names {}", row.name, row.budget);
            }
        }
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} experiments have rows");
}
