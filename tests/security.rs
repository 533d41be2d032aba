#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Pods pass the strictest admission without a warning, and what is in Secrets is seen nowhere.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

use http::Request;
use kube::{Client, client::Body};
use portal_operator::{api::PortalPlatform, cli::render, settings::CapabilityName};
use serde_json::{Value, json};
use support::{
    Bed, Space, controllers,
    process::{Process, chart, yaml_file},
    space::PATIENCE,
};

/// Portals that use every field with a say in pods, for each profile and preset, and those of the samples.
fn portals() -> Vec<(String, PortalPlatform)> {
    let mut all = Vec::new();
    for file in fs::read_dir("config/samples").unwrap() {
        let path = file.unwrap().path();
        for object in yaml_file(&path) {
            if object["kind"] == "PortalPlatform" {
                all.push((path.display().to_string(), object));
            }
        }
    }
    assert!(all.len() >= 6, "too few samples: {}", all.len());
    for profile in ["Development", "Staging", "Production", "Ephemeral"] {
        for preset in ["Backstage", "Generic"] {
            let portal = json!({
                "metadata": {"name": "portal"},
                "spec": {
                    "profile": profile, "preset": preset, "host": "portal.example.com",
                    "imagePullSecrets": [{"name": "registry"}],
                    "components": [{
                        "name": "app", "image": "registry.local/app:1", "path": "/",
                        "command": ["/bin/app"], "args": ["--verbose"],
                        "env": [{"name": "LOG_LEVEL", "value": "info"}],
                        "envFrom": [{"secretRef": {"name": "token"}}],
                        "placement": {"nodeSelector": {"disk": "fast"}},
                    }],
                    "config": {
                        "appConfig": {"app": {"title": "Acme"}},
                        "files": [{"secretRef": {"name": "token"}, "mountPath": "/app/keys"}],
                    },
                },
            });
            all.push((format!("{profile} {preset}"), portal));
        }
    }
    all.into_iter()
        .map(|(what, mut object)| {
            object["apiVersion"] = json!("portalplatform.dev/v1alpha1");
            object["kind"] = json!("PortalPlatform");
            (what, serde_json::from_value(object).unwrap())
        })
        .collect()
}

/// Asks the server to admit a pod; returns its code, its warnings and what it said.
async fn admit(client: &Client, namespace: &str, template: &Value) -> (u16, Vec<String>, String) {
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["generateName"] = json!("pod-");
    // Whether the account exists is of no interest here.
    pod["spec"]["serviceAccountName"] = json!("default");
    let request = Request::post(format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"))
        .header("content-type", "application/json")
        .body(Body::from(pod.to_string().into_bytes()))
        .unwrap();
    let answer = client.send(request).await.unwrap();
    let code = answer.status().as_u16();
    let warnings = answer
        .headers()
        .get_all("warning")
        .iter()
        .map(|warning| warning.to_str().unwrap_or("?").to_owned())
        .collect();
    let body = answer.into_body().collect_bytes().await.unwrap();
    (code, warnings, String::from_utf8_lossy(&body).into_owned())
}

/// A namespace that refuses and warns about anything below the level `restricted`.
async fn restricted(bed: &Bed) -> Space {
    let space = Space::new(bed, "admission").await;
    for mode in ["warn", "audit"] {
        let label = format!("pod-security.kubernetes.io/{mode}=restricted");
        bed.kubectl(&["label", "namespace", &space.namespace, &label])
            .await;
    }
    space
        .wait_for(PATIENCE, "the namespace has its account", || async {
            let config = kube::Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(
                space.client.clone(),
                &space.namespace,
            );
            config.get_opt("default").await.unwrap().map(|_| ())
        })
        .await;
    space
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_is_admitted_at_the_level_restricted_without_a_warning() {
    let space = restricted(Bed::shared().await).await;
    let capabilities = BTreeSet::from([CapabilityName::Gateway, CapabilityName::CertManager]);
    let mut count = 0;
    for (what, portal) in portals() {
        for started in [false, true] {
            let manifests = render::manifests(&portal, &capabilities, started)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            for manifest in manifests.iter().filter(|m| m.kind.kind == "Deployment") {
                let template = &manifest.body["spec"]["template"];
                let (code, warnings, text) = admit(&space.client, &space.namespace, template).await;
                assert_eq!(code, 201, "{what}, {}: {text}", manifest.name);
                assert_eq!(warnings, [""; 0], "{what}, {}", manifest.name);
                count += 1;
            }
        }
    }
    println!("{count} pods admitted without a warning");

    // The check itself can fail.
    let bad = json!({"metadata": {}, "spec": {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": true}}]}});
    let (code, ..) = admit(&space.client, &space.namespace, &bad).await;
    assert_eq!(code, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_pod_is_admitted_and_can_write_nowhere() {
    let space = restricted(Bed::shared().await).await;
    let objects = chart(&[]);
    let deployment = objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
    let template = &deployment["spec"]["template"];
    let (code, warnings, text) = admit(&space.client, &space.namespace, template).await;
    assert_eq!(code, 201, "{text}");
    assert_eq!(warnings, [""; 0]);
    let containers = template["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    let context = &containers[0]["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(template["spec"]["securityContext"]["runAsNonRoot"], true);
    assert!(
        containers[0]["volumeMounts"].is_null(),
        "a volume to write to"
    );
    assert!(
        objects
            .iter()
            .any(|object| object["kind"] == "NetworkPolicy")
    );
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one story, told once")]
async fn what_is_in_secrets_is_seen_in_no_log_event_status_metric_or_child() {
    let bed = Bed::shared().await;
    let space = Space::new(bed, "canary").await;
    let _controllers = controllers::play(&space);
    let namespace = &space.namespace;
    let canaries: Vec<String> = ["envfrom", "env", "file", "pull", "tls"]
        .iter()
        .map(|place| format!("canary-{place}-{}", support::bed::unique()))
        .collect();
    for (name, canary) in ["scm-tokens", "api-key", "keys", "registry", "certificate"]
        .iter()
        .zip(&canaries)
    {
        let mut secret = json!({
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"portalplatform.dev/reload": "true"}},
            "stringData": {"token": canary},
        });
        if *name == "registry" {
            secret["type"] = json!("kubernetes.io/dockerconfigjson");
            secret["stringData"] = json!({".dockerconfigjson": json!({"auths": {"registry.local": {"password": canary}}}).to_string()});
        }
        space.create(secret).await;
    }
    // With the right that only `reload.enabled` grants, in this namespace alone.
    let role = format!("role-{namespace}");
    let verbs = ["--verb=watch", "--resource=secrets"];
    bed.kubectl(&[&["-n", namespace, "create", "role", &role], &verbs[..]].concat())
        .await;
    let (of_role, of_account) = (
        format!("--role={role}"),
        format!("--serviceaccount={}:portal-operator", support::bed::SYSTEM),
    );
    bed.kubectl(&[
        "-n",
        namespace,
        "create",
        "rolebinding",
        &role,
        &of_role,
        &of_account,
    ])
    .await;

    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let listen = format!("--listen-address=127.0.0.1:{port}");
    let watched = format!("--watch-namespaces={namespace}");
    let arguments = [
        "--leader-election=false",
        "--reload=true",
        "--log-filter=trace",
        &listen,
        &watched,
    ];
    let operator = Process::start(bed, "canary", &arguments).await;
    let portal = |image: &str| {
        json!({
            "metadata": {"name": "portal"},
            "spec": {
                "profile": "Production", "preset": "Generic", "host": "portal.example.com",
                "imagePullSecrets": [{"name": "registry"}],
                "components": [{
                    "name": "app", "image": image, "path": "/",
                    "envFrom": [{"secretRef": {"name": "scm-tokens"}}],
                    "env": [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "api-key", "key": "token"}}}],
                }],
                "config": {"files": [{"secretRef": {"name": "keys"}, "mountPath": "/app/keys"}]},
                "exposure": {"tls": {"mode": "Secret", "secretRef": {"name": "certificate"}}},
            },
        })
    };
    // Good and bad pods, and a change of a Secret that rolls them.
    space
        .apply_portal_value(portal("registry.local/app:1"))
        .await;
    space.wait_ready("portal").await;
    let template =
        |deployment: &Value| deployment["spec"]["template"]["metadata"]["annotations"].clone();
    let before = template(&space.get("Deployment", "portal-app").await);
    space
        .merge(
            "Secret",
            "keys",
            json!({"stringData": {"more": canaries[2]}}),
        )
        .await;
    space
        .wait_object("Deployment", "portal-app", "rolls", |deployment| {
            template(deployment) != before
        })
        .await;
    for image in [
        "registry.local/app:missing-key",
        "registry.local/app:crash-loop",
    ] {
        space.apply_portal_value(portal(image)).await;
        space
            .wait_portal("portal", "is not Ready", |portal| {
                let ready = support::condition(portal, "Ready");
                ready["status"] == "False"
                    && ready["observedGeneration"] == portal["metadata"]["generation"]
            })
            .await;
    }
    space
        .apply_portal_value(portal("registry.local/app:2"))
        .await;
    space.wait_ready("portal").await;

    let log = operator.log();
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "the log is not detailed"
    );
    let mut places = vec![
        ("log".to_owned(), log),
        ("metrics".to_owned(), scrape(port)),
        (
            "portal".to_owned(),
            space.portal("portal").await.to_string(),
        ),
    ];
    for child in space.children().await {
        places.push((support::space::name_of(&child), child.to_string()));
    }
    for event in space.list("Event").await {
        places.push(("event".to_owned(), event.to_string()));
    }
    assert!(
        places.iter().any(|(place, _)| place == "event"),
        "no events"
    );
    for (place, text) in &places {
        for canary in &canaries {
            for form in [canary.clone(), base64(canary.as_bytes())] {
                assert!(!text.contains(&form), "{form} is seen in {place}");
            }
        }
    }
    operator.stop().await;
}

fn scrape(port: u16) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    assert!(text.contains("# EOF"), "{text}");
    text
}

/// As Secrets show their values.
fn base64(bytes: &[u8]) -> String {
    let value = k8s_openapi::ByteString(bytes.to_vec());
    let text = serde_json::to_value(value)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    // The last characters depend on what follows.
    text.trim_end_matches('=')[..text.len() - 4].to_owned()
}

#[test]
fn a_pod_template_has_no_way_around_admission() {
    // A user of portals may not name what would lift a pod above the others of its namespace.
    let schema = fs::read_to_string(Path::new(
        "charts/portal-operator/files/portalplatforms.portalplatform.dev.yaml",
    ))
    .unwrap();
    for field in [
        "hostPath:",
        "hostNetwork:",
        "privileged:",
        "serviceAccountName:",
        "podSpec:",
        "securityContext:",
        "initContainers:",
        "x-kubernetes-embedded-resource",
    ] {
        assert!(!schema.contains(field), "the schema has {field}");
    }
}
