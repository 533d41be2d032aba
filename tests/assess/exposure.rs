//! The condition `Exposed`: route, Ingress and certificate.

use portal_operator::{
    api::status::{ConditionType, Verdict},
    children::live::{Health, LiveParent},
};

use crate::{
    Case,
    world::{change, condition},
};

const GATEWAY: &str = "{profile: Staging, image: a, host: h.test, exposure: {gatewayRef: {name: lighthouse, namespace: coast}}}";

#[test]
fn a_gateway_has_the_last_word_on_the_route() {
    let route = |conditions| Health::Route {
        parents: vec![LiveParent {
            conditions,
            ..LiveParent::default()
        }],
    };
    let accepted = || condition("Accepted", "True", "Accepted", "");
    let refused = |reason| condition("Accepted", "False", reason, "words");
    for (health, reason, part) in [
        (
            Health::Route { parents: vec![] },
            "NotPickedUp",
            "no controller has answered for Gateway coast/lighthouse",
        ),
        (
            route(vec![]),
            "NotPickedUp",
            "has not judged it yet (Accepted)",
        ),
        (
            route(vec![accepted()]),
            "NotPickedUp",
            "has not judged it yet (ResolvedRefs)",
        ),
        (
            route(vec![refused("NotAllowedByListeners")]),
            "RouteRefused",
            "HTTPRoute harbor is refused by Gateway coast/lighthouse: NotAllowedByListeners: words; let the listener admit this namespace",
        ),
        (
            route(vec![refused("NoMatchingListenerHostname")]),
            "RouteRefused",
            "correct spec.host",
        ),
        (
            route(vec![refused("NoMatchingParent")]),
            "RouteRefused",
            "correct exposure.gatewayRef.sectionName",
        ),
        (
            route(vec![
                accepted(),
                condition("ResolvedRefs", "False", "BackendNotFound", "w"),
            ]),
            "RouteRefused",
            "BackendNotFound",
        ),
    ] {
        let mut case = Case::serving(GATEWAY);
        change(&mut case.world, "HTTPRoute", "harbor", |child| {
            child.health = health;
        });
        let exposed = case.condition(ConditionType::Exposed).unwrap();
        assert_eq!(
            (exposed.status, exposed.reason.as_str()),
            (Verdict::False, reason)
        );
        assert!(exposed.message.contains(part), "{}", exposed.message);
        assert_eq!(case.ready().reason, reason);
    }
    let mut case = Case::serving(GATEWAY);
    assert_eq!(
        case.condition(ConditionType::Exposed).unwrap().reason,
        "Accepted"
    );
    // Accepted at an older generation is not accepted.
    change(&mut case.world, "HTTPRoute", "harbor", |child| {
        child.generation = 2;
    });
    assert_eq!(case.ready().reason, "NotPickedUp");
}

#[test]
fn missing_cookie_affinity_is_told_but_does_not_stop_the_portal() {
    let spec = "{profile: Staging, host: h.test, exposure: {gatewayRef: {name: g}}, components: [{name: a, image: a, path: /, webSocket: {affinity: Cookie}}]}";
    let mut case = Case::serving(spec);
    let exposed = case.condition(ConditionType::Exposed).unwrap();
    assert_eq!(
        (exposed.status, exposed.reason.as_str()),
        (Verdict::True, "AcceptedWithoutAffinity")
    );
    case.plan.exposure.session_persistence = true;
    assert_eq!(
        case.condition(ConditionType::Exposed).unwrap().reason,
        "Accepted"
    );
}

#[test]
fn an_ingress_without_address_is_unknown_and_a_certificate_must_be_ready() {
    let mut case = Case::serving(
        "{profile: Staging, image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}",
    );
    let exposed = |case: &Case| case.condition(ConditionType::Exposed).unwrap();
    change(&mut case.world, "Ingress", "harbor", |child| {
        child.health = Health::Ingress { addresses: 0 };
    });
    assert_eq!(
        (exposed(&case).status, exposed(&case).reason.as_str()),
        (Verdict::Unknown, "NoAddress")
    );
    assert_eq!(case.ready().status, Verdict::True);
    for (conditions, reason) in [
        (vec![], "CertificatePending"),
        (
            vec![condition("Ready", "False", "DoesNotExist", "words")],
            "CertificateNotReady",
        ),
    ] {
        change(&mut case.world, "Certificate", "harbor", |child| {
            child.health = Health::Certificate {
                not_after: None,
                conditions,
            };
        });
        assert_eq!(
            (exposed(&case).status, exposed(&case).reason.as_str()),
            (Verdict::False, reason)
        );
        assert_eq!(case.ready().reason, reason);
    }
}
