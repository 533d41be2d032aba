//! Which traffic the network policies allow.

use serde_json::{Value, json};

use crate::offline::{find, object, plan_of};

fn policy(spec: &str, component: &str) -> Value {
    object(
        &plan_of(spec),
        "NetworkPolicy",
        &format!("harbor-{component}"),
    )["spec"]
        .clone()
}

fn namespace(name: &str) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
}

fn http() -> Value {
    json!([{"port": "http", "protocol": "TCP"}])
}

fn portal_pods() -> Value {
    json!({"podSelector": {"matchLabels": {"portalplatform.dev/name": "harbor"}}})
}

#[test]
fn a_policy_selects_one_component_and_closes_both_directions() {
    let policy = policy("{image: a}", "app");
    assert_eq!(
        policy["podSelector"]["matchLabels"],
        json!({"portalplatform.dev/name": "harbor", "portalplatform.dev/component": "app"})
    );
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        policy["ingress"],
        json!([{"from": [portal_pods()], "ports": http()}])
    );
    let egress = policy["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 2);
    assert_eq!(
        egress[0]["ports"],
        json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}])
    );
    assert_eq!(egress[1], json!({"to": [portal_pods()], "ports": http()}));
}

#[test]
fn proxies_reach_exposed_components_only() {
    let from = |spec: &str, component: &str| {
        policy(spec, component)["ingress"]
            .as_array()
            .unwrap()
            .iter()
            .skip(1)
            .map(|rule| rule["from"][0].clone())
            .collect::<Vec<_>>()
    };
    let spec = |exposure: &str| {
        format!(
            "{{host: h.test, components: [{{name: in, image: a}}, {{name: out, image: a, path: /}}], exposure: {exposure}}}"
        )
    };
    for (exposure, proxies) in [
        ("{}", vec![json!({"namespaceSelector": {}})]),
        ("{controllerNamespace: c}", vec![namespace("c")]),
        ("{gatewayRef: {name: g}}", vec![namespace("docks")]),
        (
            "{gatewayRef: {name: g, namespace: n}}",
            vec![namespace("n")],
        ),
        (
            "{gatewayRef: {name: g, namespace: n}, controllerNamespace: c}",
            vec![namespace("c")],
        ),
        ("{mode: None}", vec![]),
    ] {
        let spec = spec(exposure);
        assert_eq!(from(&spec, "out"), proxies, "{exposure}");
        assert_eq!(from(&spec, "in"), Vec::<Value>::new(), "{exposure}");
    }
}

#[test]
fn destinations_and_clients_are_added_as_written() {
    let policy = policy(
        "{image: a, network: {allowedDestinations: [{cidr: 10.7.0.0/16}, {namespace: vault, ports: [5432, 5433]}], allowedClients: [{namespace: watch, ports: [http]}, {namespace: audit}]}}",
        "app",
    );
    assert_eq!(
        policy["egress"].as_array().unwrap()[2..],
        [
            json!({"to": [{"ipBlock": {"cidr": "10.7.0.0/16"}}]}),
            json!({"to": [namespace("vault")], "ports": [{"port": 5432, "protocol": "TCP"}, {"port": 5433, "protocol": "TCP"}]}),
        ]
    );
    assert_eq!(
        policy["ingress"].as_array().unwrap()[1..],
        [
            json!({"from": [namespace("watch")], "ports": http()}),
            json!({"from": [namespace("audit")]}),
        ]
    );
}

#[test]
fn the_internet_has_no_private_address() {
    let policy = policy(
        "{image: a, network: {allowedDestinations: [{internet: true, ports: [443]}]}}",
        "app",
    );
    let rule = &policy["egress"][2];
    assert_eq!(rule["ports"], json!([{"port": 443, "protocol": "TCP"}]));
    let blocks: Vec<_> = rule["to"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| &to["ipBlock"])
        .collect();
    assert_eq!(blocks[0]["cidr"], "0.0.0.0/0");
    let except = blocks[0]["except"].to_string();
    // Private ranges, carrier-grade NAT, loopback, and the address of cloud metadata services.
    for range in [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
    ] {
        assert!(except.contains(range), "{range}");
    }
    assert_eq!(blocks[1]["cidr"], "::/0");
    for range in ["fc00::/7", "fe80::/10", "::1/128"] {
        assert!(blocks[1]["except"].to_string().contains(range), "{range}");
    }
}

#[test]
fn an_open_network_has_no_policy() {
    let plan = plan_of("{image: a, network: {policy: Open}}");
    assert!(find(&plan, "NetworkPolicy", "harbor-app").is_none());
    let plan = plan_of("{profile: Development, image: a, network: {policy: Restricted}}");
    assert!(find(&plan, "NetworkPolicy", "harbor-app").is_some());
}
