//! Every object that comes of every sample and of the portals in `golden/`. `UPDATE=1 cargo test --test golden` writes
//! them anew; what changed is then reviewed as a difference of YAML.
//!
//! A first line `# render: FLAGS` in a portal's file holds flags of `portal-operator render`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use portal_operator::{
    cli::render,
    settings::{Command, CommandLine},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files with portals: name of the golden file, and path.
fn cases() -> Vec<(String, PathBuf)> {
    let mut cases = Vec::new();
    for (folder, prefix) in [("config/samples", "sample-"), ("tests/golden", "")] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            let Some(stem) = file.strip_suffix(".yaml") else {
                continue;
            };
            let is_golden = file.contains(".out.");
            let has_portal = fs::read_to_string(&path)
                .unwrap()
                .contains("\nkind: PortalPlatform\n");
            if has_portal && !is_golden {
                cases.push((format!("{prefix}{stem}"), path));
            }
        }
    }
    cases.sort();
    cases
}

fn render(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let flags = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# render: "))
        .unwrap_or_default();
    let mut line = vec!["portal-operator", "render", "--file"];
    line.push(path.to_str().unwrap());
    line.extend(flags.split_whitespace());
    let Command::Render(settings) = CommandLine::try_parse_from(line).unwrap().command else {
        panic!("render is another command");
    };
    render::text(&settings).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn what_is_rendered_is_as_reviewed() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut expected_files = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, path) in cases() {
        let rendered = render(&path);
        let golden = root().join(format!("tests/golden/{name}.out.yaml"));
        if update {
            fs::write(&golden, &rendered).unwrap();
        }
        let reviewed = fs::read_to_string(&golden).unwrap_or_default();
        if rendered != reviewed {
            let changes = similar::TextDiff::from_lines(&reviewed, &rendered);
            wrong.push(changes.unified_diff().header(&name, "rendered").to_string());
        }
        expected_files.insert(golden);
    }
    for entry in fs::read_dir(root().join("tests/golden")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".out.") && !expected_files.contains(&path) {
            wrong.push(format!("{} belongs to no portal", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nIf that is meant, run: UPDATE=1 cargo test --test golden",
        wrong.join("\n")
    );
}

#[test]
fn the_same_portal_is_rendered_the_same_each_time() {
    for (_, path) in cases() {
        assert_eq!(render(&path), render(&path), "{}", path.display());
    }
}
