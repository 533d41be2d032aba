//! One NetworkPolicy a component. It selects that component's pods and nothing else, so neighbours are never cut off; all that
//! it does not name is denied.

mod database;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
        util::intstr::IntOrString,
    },
};
use serde_json::json;

use super::{Child, Kind, Manifest, service::PORT_NAME};
use crate::{
    api::spec::{Client, Destination},
    plan::{
        Isolation, Plan,
        backup::ARCHIVE_COMPONENT,
        database::{COMPONENT, POOLER_COMPONENT, PORT},
        identity::COMPONENT_LABEL,
        isolation::{DatabasePeer, Proxies},
    },
};

/// Ranges that are not the internet: private, shared, loopback and link-local (with the cloud's metadata service).
const NOT_INTERNET_V4: [&str; 6] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
];
/// The same for IPv6: loopback, unique local and link-local.
const NOT_INTERNET_V6: [&str; 3] = ["::1/128", "fc00::/7", "fe80::/10"];
/// Where `NodeLocal` DNSCache listens, by convention.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";

pub(super) struct NetworkPolicyChild;

static KIND: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    wave: 0,
    optional: false,
    pruned: true,
};

impl Child for NetworkPolicyChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let components = plan.components.iter().filter_map(|component| {
            let isolation = component.isolation.as_ref()?;
            let spec = rules(
                selector(plan.identity.selector(Some(&component.name))),
                ingress(plan, isolation),
                egress(plan, isolation),
            );
            Some(Manifest::of_component(
                &KIND,
                plan,
                component,
                &json!({"spec": spec}),
            ))
        });
        components.chain(database::manifests(plan)).collect()
    }
}

/// These pods may have this traffic and no other.
fn rules(
    pods: LabelSelector,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(pods),
        policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
        ingress: Some(ingress),
        egress: Some(egress),
    }
}

fn ingress(plan: &Plan, isolation: &Isolation) -> Vec<NetworkPolicyIngressRule> {
    let rule = |peer, ports| NetworkPolicyIngressRule {
        from: Some(vec![peer]),
        ports,
    };
    let http = || Some(vec![tcp(IntOrString::String(PORT_NAME.into()))]);
    let mut rules = vec![rule(portal_pods(plan), http())];
    if let Some(proxies) = &isolation.proxies {
        let peer = match proxies {
            Proxies::Namespace(namespace) => namespace_peer(namespace),
            Proxies::AnyNamespace => NetworkPolicyPeer {
                namespace_selector: Some(LabelSelector::default()),
                ..NetworkPolicyPeer::default()
            },
        };
        rules.push(rule(peer, http()));
    }
    rules.extend(isolation.clients.iter().map(|Client { namespace, ports }| {
        let ports = ports
            .iter()
            .map(|port| tcp(IntOrString::String(port.clone())))
            .collect::<Vec<_>>();
        rule(
            namespace_peer(namespace),
            (!ports.is_empty()).then_some(ports),
        )
    }));
    rules
}

fn egress(plan: &Plan, isolation: &Isolation) -> Vec<NetworkPolicyEgressRule> {
    let portal = NetworkPolicyEgressRule {
        to: Some(vec![portal_pods(plan)]),
        ports: Some(vec![tcp(IntOrString::String(PORT_NAME.into()))]),
    };
    let mut rules = vec![dns(), portal];
    rules.extend(isolation.database.as_ref().map(to_database));
    rules.extend(isolation.destinations.iter().map(destination));
    rules
}

/// Names are resolved by the cluster's DNS or by a cache on the node.
fn dns() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![
            NetworkPolicyPeer {
                namespace_selector: Some(LabelSelector::default()),
                pod_selector: Some(selector(BTreeMap::from([(
                    "k8s-app".into(),
                    "kube-dns".into(),
                )]))),
                ..NetworkPolicyPeer::default()
            },
            block(NODE_LOCAL_DNS, &[]),
        ]),
        ports: Some(vec![
            NetworkPolicyPort {
                protocol: Some("UDP".into()),
                ..tcp(IntOrString::Int(53))
            },
            tcp(IntOrString::Int(53)),
        ]),
    }
}

fn to_database(peer: &DatabasePeer) -> NetworkPolicyEgressRule {
    let (to, port) = match peer {
        DatabasePeer::Pooler(name) => (Some(pod_peer(database::pooler_pods(name))), PORT),
        DatabasePeer::Cluster(name) => (Some(pod_peer(database::instances(name))), PORT),
        DatabasePeer::External { cidr, port } => {
            (cidr.as_ref().map(|cidr| block(cidr, &[])), *port)
        }
    };
    NetworkPolicyEgressRule {
        to: to.map(|peer| vec![peer]),
        ports: Some(vec![tcp(IntOrString::Int(i32::from(port)))]),
    }
}

fn destination(destination: &Destination) -> NetworkPolicyEgressRule {
    let to = match (&destination.cidr, &destination.namespace) {
        (Some(cidr), _) => vec![block(cidr, &[])],
        (None, Some(namespace)) => vec![namespace_peer(namespace)],
        (None, None) => vec![
            block("0.0.0.0/0", &NOT_INTERNET_V4),
            block("::/0", &NOT_INTERNET_V6),
        ],
    };
    let ports: Vec<_> = destination
        .ports
        .iter()
        .map(|port| tcp(IntOrString::Int(i32::from(*port))))
        .collect();
    NetworkPolicyEgressRule {
        to: Some(to),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

/// The pods of all components.
fn portal_pods(plan: &Plan) -> NetworkPolicyPeer {
    let mut pods = selector(plan.identity.selector(None));
    if plan.database.managed().is_some() {
        pods.match_expressions = Some(vec![LabelSelectorRequirement {
            key: COMPONENT_LABEL.into(),
            operator: "NotIn".into(),
            values: Some(vec![
                COMPONENT.into(),
                ARCHIVE_COMPONENT.into(),
                POOLER_COMPONENT.into(),
            ]),
        }]);
    }
    pod_peer(pods)
}

fn pod_peer(pods: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(pods),
        ..NetworkPolicyPeer::default()
    }
}

fn namespace_peer(namespace: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(selector(BTreeMap::from([(
            "kubernetes.io/metadata.name".into(),
            namespace.into(),
        )]))),
        ..NetworkPolicyPeer::default()
    }
}

fn block(cidr: &str, except: &[&str]) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.into(),
            except: (!except.is_empty())
                .then(|| except.iter().map(|&range| range.into()).collect()),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

fn tcp(port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(port),
        protocol: Some("TCP".into()),
        ..NetworkPolicyPort::default()
    }
}
