//! Network rules of a managed database: its instances among each other, the pooler, the components that connect, the operator
//! of CloudNativePG, scrapers, DNS and the API server (which instances and poolers ask for their configuration and lease).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
        util::intstr::IntOrString,
    },
};
use serde_json::json;

use super::{KIND, Manifest, block, dns, namespace_peer, pod_peer, rules, selector, tcp};
use crate::{
    foreign::cloudnative_pg::{
        CLUSTER_LABEL, METRICS_PORT, POOLER_LABEL, POOLER_METRICS_PORT, STATUS_PORT,
    },
    plan::{
        Backup, Plan,
        backup::ARCHIVE_COMPONENT,
        database::{COMPONENT, Managed, POOLER_COMPONENT, PORT, Pooler},
        identity::{COMPONENT_LABEL, MANAGER, NAME_LABEL},
    },
};

/// Ports of API servers before and after translation of their Service's address. Their addresses cannot be known here.
const API_PORTS: [i32; 2] = [443, 6443];
/// Where clouds give pods their identity: the metadata services, and the agent of EKS.
const IDENTITY_SERVICES: [&str; 3] = [
    "169.254.169.252/32",
    "169.254.169.254/32",
    "169.254.170.23/32",
];
const IDENTITY_PORTS: [i32; 2] = [80, 988];
/// What `network.allowedClients` calls the ports of metrics.
const METRICS: &str = "metrics";

pub(super) fn manifests(plan: &Plan) -> Vec<Manifest> {
    let Some(managed) = plan.database.managed().filter(|managed| managed.isolated) else {
        return Vec::new();
    };
    let policy = |component: &str, name: &str, spec: NetworkPolicySpec| {
        Manifest::of_database(
            &KIND,
            plan,
            component,
            name.to_owned(),
            &json!({"spec": spec}),
        )
    };
    let mut manifests = vec![policy(
        COMPONENT,
        &managed.name,
        of_instances(plan, managed),
    )];
    if let Some(backup) = &plan.backup
        && let Some(archive) = &backup.archive
    {
        manifests.push(policy(
            ARCHIVE_COMPONENT,
            &archive.name,
            of_archive(plan, managed, backup),
        ));
    }
    if let Some(pooler) = &managed.pooler {
        manifests.push(policy(
            POOLER_COMPONENT,
            &pooler.name,
            of_pooler(plan, managed, pooler),
        ));
    }
    manifests
}

/// The instances and the jobs that make them. The pods of poolers carry the label of the cluster, too.
pub(super) fn instances(cluster: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(CLUSTER_LABEL.into(), cluster.to_owned())])),
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: POOLER_LABEL.into(),
            operator: "DoesNotExist".into(),
            values: None,
        }]),
    }
}

/// The pods of a pooler.
pub(super) fn pooler_pods(pooler: &str) -> LabelSelector {
    selector(BTreeMap::from([(POOLER_LABEL.into(), pooler.to_owned())]))
}

fn of_instances(plan: &Plan, managed: &Managed) -> NetworkPolicySpec {
    let own = || pod_peer(instances(&managed.name));
    let among = || ports(&[i32::from(PORT), STATUS_PORT]);
    let clients = managed.pooler.as_ref().map_or_else(
        || components(plan),
        |pooler| pod_peer(pooler_pods(&pooler.name)),
    );
    let operator = NetworkPolicyPeer {
        pod_selector: Some(selector(BTreeMap::from([(
            "app.kubernetes.io/name".into(),
            "cloudnative-pg".into(),
        )]))),
        ..namespace_peer(&managed.operator_namespace)
    };
    let mut ingress = vec![
        incoming(own(), among()),
        incoming(clients, ports(&[i32::from(PORT)])),
        incoming(operator, among()),
    ];
    ingress.extend(scrapers(plan, METRICS_PORT));
    let mut egress = vec![dns(), outgoing(own(), among()), api_server()];
    if let Some(backup) = &plan.backup {
        // How far the archive is behind is asked of the primary.
        let own_operator = NetworkPolicyPeer {
            pod_selector: Some(selector(BTreeMap::from([(
                "app.kubernetes.io/name".into(),
                MANAGER.into(),
            )]))),
            ..namespace_peer(&plan.operator_namespace)
        };
        ingress.push(incoming(own_operator, ports(&[STATUS_PORT])));
        if backup.archive.is_some() {
            let archive = pod_peer(selector(plan.identity.selector(Some(ARCHIVE_COMPONENT))));
            ingress.push(incoming(archive, ports(&[i32::from(PORT)])));
        }
        egress.extend(object_store(backup));
    }
    rules(instances(&managed.name), ingress, egress)
}

/// The pods that make dumps: they read the database and write to the object store.
fn of_archive(plan: &Plan, managed: &Managed, backup: &Backup) -> NetworkPolicySpec {
    let mut egress = vec![
        dns(),
        outgoing(
            pod_peer(instances(&managed.name)),
            ports(&[i32::from(PORT)]),
        ),
    ];
    egress.extend(object_store(backup));
    rules(
        selector(plan.identity.selector(Some(ARCHIVE_COMPONENT))),
        Vec::new(),
        egress,
    )
}

/// The object store, whose address cannot be known here, and where pods get the identity that opens it.
fn object_store(backup: &Backup) -> Vec<NetworkPolicyEgressRule> {
    let destination = &backup.destination;
    let mut rules = vec![NetworkPolicyEgressRule {
        to: None,
        ports: Some(ports(&[i32::from(destination.port)])),
    }];
    if destination.credentials.of_pod() {
        rules.push(NetworkPolicyEgressRule {
            to: Some(
                IDENTITY_SERVICES
                    .iter()
                    .map(|address| block(address, &[]))
                    .collect(),
            ),
            ports: Some(ports(&IDENTITY_PORTS)),
        });
    }
    rules
}

fn of_pooler(plan: &Plan, managed: &Managed, pooler: &Pooler) -> NetworkPolicySpec {
    let postgres = || ports(&[i32::from(PORT)]);
    let mut ingress = vec![incoming(components(plan), postgres())];
    ingress.extend(scrapers(plan, POOLER_METRICS_PORT));
    rules(
        pooler_pods(&pooler.name),
        ingress,
        vec![
            dns(),
            outgoing(pod_peer(instances(&managed.name)), postgres()),
            api_server(),
        ],
    )
}

/// The components that connect.
fn components(plan: &Plan) -> NetworkPolicyPeer {
    let names = plan
        .components
        .iter()
        .filter(|component| component.database.is_some())
        .map(|component| component.name.clone())
        .collect();
    pod_peer(LabelSelector {
        match_labels: Some(BTreeMap::from([(
            NAME_LABEL.into(),
            plan.identity.name.clone(),
        )])),
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: COMPONENT_LABEL.into(),
            operator: "In".into(),
            values: Some(names),
        }]),
    })
}

/// The namespaces that `network.allowedClients` lets scrape metrics.
fn scrapers(plan: &Plan, port: i32) -> Vec<NetworkPolicyIngressRule> {
    plan.clients
        .iter()
        .filter(|client| client.ports.is_empty() || client.ports.iter().any(|p| p == METRICS))
        .map(|client| incoming(namespace_peer(&client.namespace), ports(&[port])))
        .collect()
}

fn api_server() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: None,
        ports: Some(ports(&API_PORTS)),
    }
}

fn ports(ports: &[i32]) -> Vec<NetworkPolicyPort> {
    ports
        .iter()
        .map(|port| tcp(IntOrString::Int(*port)))
        .collect()
}

fn incoming(peer: NetworkPolicyPeer, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(vec![peer]),
        ports: Some(ports),
    }
}

fn outgoing(peer: NetworkPolicyPeer, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: Some(ports),
    }
}
