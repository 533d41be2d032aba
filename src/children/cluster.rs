//! The `PostgreSQL` cluster of a portal, run by CloudNativePG. It holds data: it is never deleted by an edit of the spec, and has no
//! owner where the data shall outlive the portal.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::TopologySpreadConstraint, apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    deployment::placement::tolerations,
    live::{ClusterState, Health, Live},
    object_store,
    pod::resources,
};
use crate::{
    api::{
        database::{ReclaimPolicy, SynchronousMode},
        spec::SpreadMode,
    },
    digest::digest_u64,
    foreign::{
        barman::{PLUGIN, SERVER_PARAMETER, STORE_PARAMETER},
        cloudnative_pg::{
            Affinity, Annotations, Bootstrap, CLUSTER_LABEL, Certificates, ClusterSpec, FENCED,
            HIBERNATION, ImageCatalogRef, InheritedMetadata, Initdb, Plugin, PostgreSql,
            PrimaryLease, ServiceAccountTemplate, Storage, Synchronous,
        },
    },
    plan::{
        Plan,
        database::{COMPONENT, DATABASE, Image, Managed},
        identity::{COMPONENT_LABEL, NAME_LABEL},
    },
};

pub(super) struct ClusterChild;

static KIND: Kind = Kind {
    group: "postgresql.cnpg.io",
    version: "v1",
    kind: "Cluster",
    plural: "clusters",
    // After its ObjectStore: a Cluster that does not find it looks again only minutes later.
    wave: 1,
    optional: true,
    pruned: false,
};

impl Child for ClusterChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let Some(managed) = plan.database.managed() else {
            return Vec::new();
        };
        let manifest = Manifest::of_database(
            &KIND,
            plan,
            COMPONENT,
            managed.name.clone(),
            &json!({"spec": spec(plan, managed)}),
        );
        let manifest = if managed.reclaim == ReclaimPolicy::Retain {
            manifest.retained()
        } else {
            manifest
        };
        let hibernation = managed.hibernates.then(|| {
            let word = if plan.suspended { "on" } else { "off" };
            (HIBERNATION.to_owned(), word.to_owned())
        });
        vec![manifest.annotated(hibernation.iter().map(|(key, value)| (key, value)))]
    }

    fn health(&self, live: &Live) -> Health {
        let status = &live.status;
        let secret = &status.secrets_resource_version.application_secret_version;
        Health::Cluster(Box::new(ClusterState {
            phase: status.phase.clone(),
            phase_reason: status.phase_reason.clone(),
            primary: status.current_primary.clone(),
            target_primary: status.target_primary.clone(),
            ready: status.ready_instances.unwrap_or(0),
            image: live.spec.image_name.clone(),
            running_image: status.image.clone(),
            created: live.metadata.creation_timestamp.as_ref().map(|time| time.0),
            server_name: live
                .spec
                .plugins
                .iter()
                .find(|plugin| plugin.name == PLUGIN)
                .and_then(|plugin| plugin.parameters.get(SERVER_PARAMETER))
                .cloned(),
            storage: live.spec.storage.clone().and_then(|storage| storage.size),
            wal_storage: live
                .spec
                .wal_storage
                .clone()
                .and_then(|storage| storage.size),
            fenced: live
                .metadata
                .annotations
                .iter()
                .flatten()
                .find(|(key, value)| *key == FENCED && *value != "[]")
                .map(|(_, value)| value.clone()),
            secret_version: (!secret.is_empty()).then(|| digest_u64(secret)),
            conditions: status.conditions.clone(),
        }))
    }
}

fn spec(plan: &Plan, managed: &Managed) -> ClusterSpec {
    let (image_name, image_catalog_ref) = match &managed.image {
        Image::Name(name) => (Some(name.clone()), None),
        Image::Catalog { kind, name, major } => (
            None,
            Some(ImageCatalogRef {
                api_group: "postgresql.cnpg.io",
                kind: format!("{kind:?}"),
                name: name.clone(),
                major: *major,
            }),
        ),
    };
    ClusterSpec {
        instances: managed.instances,
        image_name,
        image_catalog_ref,
        // By these labels pods are seen, and what is left of a portal is found.
        inherited_metadata: InheritedMetadata {
            labels: labels(plan),
        },
        service_account_template: service_account(plan),
        plugins: plugins(plan),
        bootstrap: Bootstrap {
            initdb: Initdb {
                database: DATABASE,
                owner: DATABASE,
                data_checksums: true,
            },
        },
        storage: storage(managed, &managed.data_volume().0),
        wal_storage: managed.wal_volume().map(|size| storage(managed, &size.0)),
        resources: resources(managed.cpu, managed.memory, managed.memory),
        affinity: affinity(managed),
        topology_spread_constraints: spread(managed),
        postgresql: PostgreSql {
            parameters: managed.parameters.clone(),
            synchronous: synchronous(managed),
        },
        certificates: Certificates {
            server_alt_dns_names: pooler_names(plan),
        },
        primary_update_method: "switchover",
        // Connection pools keep sessions open, and a smart shutdown waits for them: with the default of 180 s the primary's
        // lease is not released in time and a failover takes 18 s instead of 3 s.
        smart_shutdown_timeout: 0,
        primary_lease: PrimaryLease {
            lease_duration_seconds: 5,
            renew_deadline_seconds: 3,
            retry_period_seconds: 1,
        },
        // A budget over a single instance would block every drain of its node.
        enable_pdb: managed.instances > 1,
    }
}

fn labels(plan: &Plan) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (NAME_LABEL.into(), plan.identity.name.clone()),
        (COMPONENT_LABEL.into(), COMPONENT.into()),
    ]);
    labels.extend(object_store::pod_labels(plan));
    labels
}

/// What archives the write-ahead log.
fn plugins(plan: &Plan) -> Vec<Plugin> {
    plan.backup
        .iter()
        .filter(|backup| backup.attached)
        .map(|backup| Plugin {
            name: PLUGIN,
            is_wal_archiver: true,
            parameters: BTreeMap::from([
                (STORE_PARAMETER, backup.name.clone()),
                (SERVER_PARAMETER, backup.server_name.clone()),
            ]),
        })
        .collect()
}

/// The identity by which the cloud knows the pods. Not `serviceAccountName`: the plugin binds its role to the ServiceAccount
/// that is named after the Cluster.
fn service_account(plan: &Plan) -> Option<ServiceAccountTemplate> {
    let annotations = &plan
        .backup
        .as_ref()?
        .destination
        .service_account_annotations;
    (!annotations.is_empty()).then(|| ServiceAccountTemplate {
        metadata: Annotations {
            annotations: annotations.clone(),
        },
    })
}

fn storage(managed: &Managed, size: &str) -> Storage {
    Storage {
        size: size.to_owned(),
        storage_class: managed.storage_class.clone(),
    }
}

fn affinity(managed: &Managed) -> Affinity {
    let type_ = match managed.spread {
        SpreadMode::Required => Some("required"),
        SpreadMode::Preferred => Some("preferred"),
        SpreadMode::None => None,
    };
    Affinity {
        enable_pod_anti_affinity: type_.is_some(),
        pod_anti_affinity_type: type_,
        topology_key: type_.map(|_| "kubernetes.io/hostname"),
        node_selector: managed.node_selector.clone(),
        tolerations: tolerations(&managed.tolerations),
    }
}

fn spread(managed: &Managed) -> Vec<TopologySpreadConstraint> {
    let when_unsatisfiable = match managed.spread {
        SpreadMode::Required => "DoNotSchedule",
        SpreadMode::Preferred => "ScheduleAnyway",
        SpreadMode::None => return Vec::new(),
    };
    vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".into(),
        when_unsatisfiable: when_unsatisfiable.into(),
        label_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([
                (CLUSTER_LABEL.into(), managed.name.clone()),
                ("cnpg.io/podRole".into(), "instance".into()),
            ])),
            ..LabelSelector::default()
        }),
        node_taints_policy: Some("Honor".into()),
        ..TopologySpreadConstraint::default()
    }]
}

fn synchronous(managed: &Managed) -> Option<Synchronous> {
    let data_durability = match managed.synchronous {
        SynchronousMode::Required => "required",
        SynchronousMode::Preferred => "preferred",
        SynchronousMode::None => return None,
    };
    Some(Synchronous {
        method: "any",
        number: 1,
        data_durability,
        failover_quorum: true,
    })
}

/// Names under which clients verify the pooler, which shows the Cluster's certificate. They are there without a pooler, too,
/// so that adding one changes no certificate.
fn pooler_names(plan: &Plan) -> Vec<String> {
    let name = plan.identity.pooler_name();
    let namespace = &plan.identity.namespace;
    vec![
        name.clone(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
    ]
}
