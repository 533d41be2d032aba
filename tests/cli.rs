//! The program on the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::Value;

/// What the program printed, and how it ended.
struct Ended {
    code: i32,
    out: String,
    error: String,
}

fn run(arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portal-operator"))
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn render(spec: &str, flags: &[&str]) -> Ended {
    let portal = format!(
        "apiVersion: portalplatform.dev/v1alpha1\nkind: PortalPlatform\nmetadata: {{name: harbor}}\nspec: {spec}\n"
    );
    run(&[&["render", "--file", "-"], flags].concat(), &portal)
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn kinds(text: &str) -> Vec<String> {
    documents(text)
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_sample_renders() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ended = run(&["render", "--file", path.to_str().unwrap()], "");
        if fs::read_to_string(&path)
            .unwrap()
            .contains("\nkind: PortalPlatform\n")
        {
            assert_eq!(
                (ended.code, ended.error.as_str()),
                (0, ""),
                "{}",
                path.display()
            );
            assert!(
                documents(&ended.out)
                    .iter()
                    .any(|object| object["kind"] == "Deployment")
            );
            count += 1;
        } else {
            assert_eq!(ended.code, 1);
            assert!(
                ended.error.contains("no PortalPlatform in"),
                "{}",
                ended.error
            );
        }
    }
    assert!(count >= 6);
}

#[test]
fn capabilities_say_which_apis_are_assumed() {
    let spec = "{profile: Ephemeral, host: h.test, components: [{name: a, image: a, path: /, webSocket: {affinity: Cookie}}], exposure: {gatewayRef: {name: g}, tls: {issuerRef: {name: i}}}}";
    for (flags, route, certificate, cookie) in [
        (&[][..], true, true, false),
        (&["--capabilities", "none"], false, false, false),
        (&["--capabilities", "gateway"], true, false, false),
        (&["--capabilities", "cert-manager"], false, true, false),
        (
            &["--capabilities", "gateway-experimental,cert-manager"],
            true,
            true,
            true,
        ),
    ] {
        let ended = render(spec, flags);
        assert_eq!(ended.code, 0, "{}", ended.error);
        let has = |kind: &str| kinds(&ended.out).iter().any(|found| found == kind);
        assert_eq!(has("HTTPRoute"), route, "{flags:?}");
        assert_eq!(has("Certificate"), certificate, "{flags:?}");
        assert_eq!(
            ended.out.contains("sessionPersistence"),
            cookie,
            "{flags:?}"
        );
    }
    assert_eq!(render(spec, &["--capabilities", "bogus"]).code, 2);
}

#[test]
fn the_namespace_is_that_of_the_portal_or_else_of_the_flag() {
    let rendered = |flags: &[&str]| {
        documents(&render("{image: a}", flags).out)[0]["metadata"]["namespace"].clone()
    };
    assert_eq!(rendered(&[]), "default");
    assert_eq!(rendered(&["--namespace", "docks"]), "docks");
    let own = "kind: PortalPlatform\napiVersion: portalplatform.dev/v1alpha1\nmetadata: {name: h, namespace: own}\nspec: {image: a}\n";
    let ended = run(&["render", "-f", "-", "-n", "docks"], own);
    assert_eq!(documents(&ended.out)[0]["metadata"]["namespace"], "own");
}

#[test]
fn a_first_start_is_shown_on_request() {
    let spec = "{preset: Backstage, image: a}";
    let has_autoscaler = |flags: &[&str]| {
        kinds(&render(spec, flags).out).contains(&"HorizontalPodAutoscaler".to_owned())
    };
    assert!(has_autoscaler(&[]));
    assert!(!has_autoscaler(&["--first-start"]));
}

#[test]
fn what_is_wrong_with_a_file_is_told_in_one_line() {
    for (spec, part) in [
        (
            "{imag: a}",
            "PortalPlatform harbor is not valid: unknown field spec.imag",
        ),
        (
            "{components: [{name: a, image: a, scaling: {min: 1}}]}",
            "unknown field spec.components[0].scaling.min",
        ),
        (
            "{image: 7}",
            "PortalPlatform harbor is not valid: invalid type: integer `7`, expected a string",
        ),
        ("{profile: Gold, image: a}", "unknown variant `Gold`"),
        (
            "{}",
            "PortalPlatform harbor cannot be carried out: spec.image: set either image",
        ),
        ("{image: a", "failed to parse -"),
    ] {
        let ended = render(spec, &[]);
        assert_eq!(ended.code, 1, "{spec}");
        assert_eq!(ended.out, "", "{spec}");
        assert!(
            ended.error.starts_with("portal-operator: ") && ended.error.contains(part),
            "{}",
            ended.error
        );
        assert_eq!(ended.error.trim_end().lines().count(), 1, "{}", ended.error);
    }
    let ended = run(&["render", "--file", "/nonexistent.yaml"], "");
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .error
            .contains("failed to read /nonexistent.yaml: No such file"),
        "{}",
        ended.error
    );
    let ended = run(&["render", "--file", "-"], "");
    assert_eq!(
        (ended.code, ended.error.as_str()),
        (1, "portal-operator: no PortalPlatform in -\n")
    );
}

#[test]
fn several_portals_of_a_file_are_rendered_and_other_kinds_passed_over() {
    let portal = |name: &str| {
        format!(
            "---\napiVersion: portalplatform.dev/v1alpha1\nkind: PortalPlatform\nmetadata: {{name: {name}}}\nspec: {{profile: Development, image: a}}\n"
        )
    };
    let text = format!(
        "{}---\nkind: Secret\napiVersion: v1\n{}",
        portal("north"),
        portal("south")
    );
    let ended = run(&["render", "--file", "-"], &text);
    let deployments: Vec<_> = documents(&ended.out)
        .into_iter()
        .filter(|object| object["kind"] == "Deployment")
        .map(|object| object["metadata"]["name"].clone())
        .collect();
    assert_eq!(deployments, ["north-app", "south-app"]);
}

#[test]
fn the_definition_is_printed() {
    let ended = run(&["crd"], "");
    assert_eq!(ended.code, 0);
    let definition = &documents(&ended.out)[0];
    assert_eq!(definition["kind"], "CustomResourceDefinition");
    assert_eq!(
        definition["metadata"]["name"],
        "portalplatforms.portalplatform.dev"
    );
    assert!(definition.get("status").is_none());
}

#[test]
fn help_version_and_wrong_flags_end_as_usual() {
    assert_eq!(run(&["--help"], "").code, 0);
    let version = run(&["--version"], "");
    assert_eq!(
        version.out.trim(),
        concat!("portal-operator ", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(run(&[], "").code, 2);
    assert_eq!(run(&["render"], "").code, 2);
    assert_eq!(run(&["render", "--bogus"], "").code, 2);
    assert_eq!(run(&["run", "--concurrency", "many"], "").code, 2);
}

#[test]
fn without_a_cluster_diff_and_run_say_so() {
    let portal = "apiVersion: portalplatform.dev/v1alpha1\nkind: PortalPlatform\nmetadata: {name: h}\nspec: {image: a}\n";
    let ended = run(&["diff", "--file", "-"], portal);
    assert_eq!(ended.code, 2, "{}", ended.error);
    assert!(
        ended.error.contains("failed to read the kubeconfig"),
        "{}",
        ended.error
    );
    let ended = run(&["run"], "");
    assert_eq!(ended.code, 1);
    assert!(ended.error.contains("found no cluster"), "{}", ended.error);
}
