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
