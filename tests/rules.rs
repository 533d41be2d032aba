//! What the CRD admits and what it refuses, with which words, without a server. `rules_cluster.rs` asks a real API server
//! the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/bounds.rs"]
mod bounds;
#[path = "support/checker.rs"]
mod checker;
#[path = "support/examples.rs"]
mod examples;
#[path = "support/inputs.rs"]
mod inputs;
#[path = "support/schema.rs"]
mod schema;

use std::collections::BTreeSet;

use examples::EXAMPLES;
use portal_operator::{api::rules::RULES, cli::portals};
use serde_json::Value;

#[test]
fn every_rule_has_an_example_and_every_example_a_rule() {
    let mut messages = BTreeSet::new();
    for rule in RULES {
        assert!(messages.insert(rule.message), "twice: {}", rule.message);
        let of_rule: Vec<_> = EXAMPLES
            .iter()
            .filter(|e| rule.message.starts_with(e.message))
            .collect();
        assert_eq!(of_rule.len(), 1, "examples of: {}", rule.message);
        assert!(!of_rule[0].admitted.is_empty() && !of_rule[0].refused.is_empty());
    }
    assert_eq!(RULES.len(), EXAMPLES.len());
}

#[test]
fn the_api_server_names_the_field_that_the_rule_names() {
    for example in EXAMPLES {
        let rule = RULES
            .iter()
            .find(|rule| rule.message.starts_with(example.message))
            .unwrap();
        let field = format!("{}{}", rule.at, rule.field).replace("[]", "[0]");
        assert_eq!(example.field, field, "{}", rule.message);
    }
}

#[test]
fn every_rule_admits_and_refuses() {
    let schema = schema::schema();
    let rules = kube_cel::compile_schema(&schema);
    for example in EXAMPLES {
        for text in example.admitted {
            let object = examples::object(text);
            assert_eq!(checker::violations(&schema, &object, ""), [], "{text}");
            let objections = checker::rules_against(&rules, &object);
            assert!(objections.is_empty(), "{text}: {objections:?}");
        }
        for text in example.refused {
            let object = examples::object(text);
            assert_eq!(checker::violations(&schema, &object, ""), [], "{text}");
            let objections = checker::rules_against(&rules, &object);
            assert!(
                objections.iter().all(|objection| objection.is_verdict),
                "{text}: {objections:?}"
            );
            assert!(
                objections
                    .iter()
                    .any(|objection| objection.message.starts_with(example.message)),
                "{text}: {objections:?}"
            );
        }
    }
}

#[test]
fn the_full_objects_use_every_field_and_are_admitted() {
    let schema = schema::schema();
    let rules = kube_cel::compile_schema(&schema);
    for object in bounds::full() {
        assert_eq!(checker::violations(&schema, &object, ""), []);
        let objections = checker::rules_against(&rules, &object);
        assert!(objections.is_empty(), "{objections:?}");
    }
    let unused: Vec<_> = bounds::sites()
        .into_iter()
        .filter(|site| site.place.is_none())
        .map(|site| site.schema_path)
        .collect();
    assert_eq!(unused, Vec::<String>::new());
}

#[test]
fn every_bound_admits_what_is_inside_and_refuses_what_is_outside() {
    let schema = schema::schema();
    let cases = bounds::cases();
    assert!(cases.len() > 400, "only {} cases", cases.len());
    for case in cases {
        let violations =
            checker::violations(&schema["properties"]["spec"], &case.object["spec"], "spec");
        match &case.refusal {
            None => assert_eq!(violations, [], "{}", case.about),
            Some((field, words)) => assert!(
                violations
                    .iter()
                    .any(|(path, phrase)| path == field && words.starts_with(phrase)),
                "{}: {violations:?}",
                case.about
            ),
        }
    }
}

#[test]
fn a_field_that_the_api_does_not_have_is_named_with_its_path() {
    for site in bounds::sites() {
        let is_closed = site.node["properties"].is_object()
            && site.node["x-kubernetes-preserve-unknown-fields"] != true;
        let Some((base, pointer)) = site.place.filter(|_| is_closed) else {
            continue;
        };
        let mut object = bounds::full()[base].clone();
        object.pointer_mut(&pointer).unwrap()["hatch"] = Value::Bool(true);
        let text = serde_yaml_ng::to_string(&object).unwrap();
        let error = portals::parse(&text, "docks").unwrap_err().to_string();
        assert!(
            error.contains("unknown field spec") && error.contains(".hatch"),
            "{pointer}: {error}"
        );
    }
}
