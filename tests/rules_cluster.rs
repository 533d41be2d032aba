//! The examples of `rules.rs` on a real API server: what it admits, what it refuses, with which words and at which field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/bounds.rs"]
mod bounds;
#[path = "support/examples.rs"]
mod examples;
#[path = "support/inputs.rs"]
mod inputs;
#[path = "support/schema.rs"]
mod schema;

use std::{path::PathBuf, time::Duration};

use examples::EXAMPLES;
use futures::{StreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
    runtime::{conditions, wait::await_condition},
};
use portal_operator::{
    api::{self, rules::RULES},
    cli::portals,
};
use serde_json::Value;

const PATH: &str = "/apis/portalplatform.dev/v1alpha1/namespaces/default/portalplatforms";

const CRD: &str = "portalplatforms.portalplatform.dev";

/// A client of the test bed, on which the CRD is installed.
async fn client() -> Client {
    let Some(folder) = std::env::var_os("PORTAL_TESTBED") else {
        panic!(
            "this test needs a control plane and PORTAL_TESTBED is not set; run make test, which starts one"
        );
    };
    let kubeconfig = Kubeconfig::read_from(PathBuf::from(folder).join("admin.kubeconfig")).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .patch(
            CRD,
            &PatchParams::apply("rules-test").force(),
            &Patch::Apply(api::crd()),
        )
        .await
        .unwrap();
    let established = await_condition(definitions, CRD, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(30), established)
        .await
        .expect("the definition is established within half a minute")
        .unwrap();
    client
}

/// Would the server create the object? If not, why not.
async fn create(client: &Client, object: &Value) -> Result<(), Status> {
    let request = http::Request::post(format!("{PATH}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object).unwrap())
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(*status),
        Err(error) => panic!("{error}"),
    }
}

/// Field and message of each cause.
fn causes(status: &Status) -> Vec<(String, String)> {
    status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .map(|cause| (cause.field.clone(), cause.message.clone()))
        .collect()
}

#[tokio::test]
async fn every_rule_admits_and_refuses_on_the_server() {
    let client = client().await;
    let mut wrong = Vec::new();
    for example in EXAMPLES {
        for text in example.admitted {
            if let Err(status) = create(&client, &examples::object(text)).await {
                wrong.push(format!("{text} is refused: {}", status.message));
            }
        }
        for text in example.refused {
            match create(&client, &examples::object(text)).await {
                Ok(()) => wrong.push(format!("{text} is admitted")),
                Err(status) => {
                    let told = causes(&status).iter().any(|(field, message)| {
                        message.contains(example.message)
                            && (field == example.field || example.field.is_empty())
                    });
                    if !told {
                        wrong.push(format!("{text}: {:?}", causes(&status)));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_bound_admits_and_refuses_on_the_server() {
    let client = client().await;
    let results: Vec<_> = stream::iter(bounds::cases())
        .map(|case| async {
            let result = create(&client, &case.object).await;
            (case, result)
        })
        .buffer_unordered(16)
        .collect()
        .await;
    let mut wrong = Vec::new();
    for (case, result) in results {
        let causes = result.as_ref().err().map(causes).unwrap_or_default();
        let right = match &case.refusal {
            // Inside of its own bound, a value can still be at odds with another field.
            None => {
                result.is_ok()
                    || causes
                        .iter()
                        .all(|(_, message)| RULES.iter().any(|rule| message.contains(rule.message)))
            }
            Some((field, words)) => causes
                .iter()
                .any(|(path, message)| path == field && message.contains(words)),
        };
        if !right {
            wrong.push(format!(
                "{}: expected {:?}, found {causes:?}",
                case.about, case.refusal
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_full_objects_are_admitted_by_the_server() {
    let client = client().await;
    for object in bounds::full() {
        create(&client, &object)
            .await
            .unwrap_or_else(|status| panic!("{}", status.message));
    }
}

#[tokio::test]
async fn an_unknown_field_is_refused_with_its_path() {
    let client = client().await;
    for site in bounds::sites() {
        let is_closed = site.node["properties"].is_object()
            && site.node["x-kubernetes-preserve-unknown-fields"] != true;
        let Some((base, pointer)) = site.place.filter(|_| is_closed) else {
            continue;
        };
        let mut object = bounds::full()[base].clone();
        object.pointer_mut(&pointer).unwrap()["hatch"] = Value::Bool(true);
        let refused = create(&client, &object).await.unwrap_err().message;
        // The command line finds the same field.
        let told = portals::parse(&serde_yaml_ng::to_string(&object).unwrap(), "docks")
            .unwrap_err()
            .to_string();
        let (_, field) = told.split_once("unknown field ").unwrap();
        assert!(
            refused.contains(&format!("unknown field \"{field}\"")),
            "{refused}\n{told}"
        );
    }
}

#[tokio::test]
async fn what_the_server_stores_is_what_was_written() {
    let client = client().await;
    for object in bounds::full() {
        let request = http::Request::post(format!("{PATH}?dryRun=All&fieldValidation=Strict"))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&object).unwrap())
            .unwrap();
        let stored: Value = client.request(request).await.unwrap();
        // No default is written into the spec, so that Git never differs.
        assert_eq!(stored["spec"], object["spec"]);
        assert_eq!(stored["status"]["observedGeneration"], -1);
    }
}
