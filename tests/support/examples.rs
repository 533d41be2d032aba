//! For each rule of the CRD an object that it admits and one that it refuses.
// Over 400 lines: a table with an entry for each rule.
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};

/// Objects for one rule.
pub(crate) struct Example {
    /// The rule's message.
    pub(crate) message: &'static str,
    /// The field that the API server names.
    pub(crate) field: &'static str,
    /// Specs, or `name: …`, that are admitted.
    pub(crate) admitted: &'static [&'static str],
    /// Specs, or `name: …`, that are refused with the message.
    pub(crate) refused: &'static [&'static str],
}

/// The object that an example's text is short for.
pub(crate) fn object(text: &str) -> Value {
    let (name, spec) = match text.strip_prefix("name: ") {
        Some(name) => (name, json!({"image": "registry.test/crane:7"})),
        None => (
            "harbor",
            serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")),
        ),
    };
    portal(name, &spec)
}

pub(crate) fn portal(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "portalplatform.dev/v1alpha1",
        "kind": "PortalPlatform",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    })
}

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        message: "metadata.name must be at most 40 characters",
        field: "",
        admitted: &[
            "name: h",
            "name: harbor-2",
            "name: a234567890b234567890c234567890d234567890",
        ],
        refused: &[
            "name: a234567890b234567890c234567890d2345678901",
            "name: 2harbor",
            "name: harbor.north",
        ],
    },
    Example {
        message: "set either image (one component) or components",
        field: "spec.image",
        admitted: &[
            "{image: a}",
            "{components: [{name: crane, image: a}]}",
            "{image: a, components: []}",
        ],
        refused: &[
            "{}",
            "{components: []}",
            "{image: a, components: [{name: crane, image: a}]}",
        ],
    },
    Example {
        message: "two components have the same path",
        field: "spec.components",
        admitted: &[
            "{host: h.test, components: [{name: a, image: a, path: /}, {name: b, image: b, path: /b}, {name: c, image: c}]}",
        ],
        refused: &[
            "{host: h.test, components: [{name: a, image: a, path: /x}, {name: b, image: b}, {name: c, image: c, path: /x}]}",
        ],
    },
    Example {
        message: "host is needed because a component has a path",
        field: "spec.host",
        admitted: &[
            "{host: h.test, components: [{name: a, image: a, path: /}]}",
            "{components: [{name: a, image: a, path: /}], exposure: {mode: None}}",
            "{components: [{name: a, image: a}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, path: /}]}",
            "{components: [{name: a, image: a, path: /}], exposure: {gatewayRef: {name: g}}}",
            "{components: [{name: a, image: a, path: /}], exposure: {mode: Auto}}",
        ],
    },
    Example {
        message: "host is needed in exposure.mode Gateway and Ingress",
        field: "spec.host",
        admitted: &[
            "{image: a, host: h.test, exposure: {mode: Ingress}}",
            "{image: a, exposure: {mode: Auto}}",
        ],
        refused: &[
            "{image: a, exposure: {mode: Ingress}}",
            "{image: a, exposure: {mode: Gateway, gatewayRef: {name: g}}}",
        ],
    },
    Example {
        message: "exposure.mode asks for exposure, but no component has a path",
        field: "spec.components",
        admitted: &[
            "{host: h.test, components: [{name: a, image: a}, {name: b, image: b, path: /}], exposure: {mode: Ingress}}",
            "{host: h.test, components: [{name: a, image: a}], exposure: {mode: Auto}}",
        ],
        refused: &[
            "{host: h.test, components: [{name: a, image: a}], exposure: {mode: Ingress}}",
            "{host: h.test, components: [{name: a, image: a}], exposure: {mode: Gateway, gatewayRef: {name: g}}}",
        ],
    },
    Example {
        message: "profile Production keeps at least 2 replicas of a critical component",
        field: "spec.components",
        admitted: &[
            "{components: [{name: a, image: a, scaling: {minReplicas: 2, maxReplicas: 2}}]}",
            "{components: [{name: a, image: a, critical: false, scaling: {minReplicas: 1, maxReplicas: 1}}]}",
            "{profile: Staging, components: [{name: a, image: a, scaling: {minReplicas: 1}}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, scaling: {minReplicas: 1}}]}",
            "{profile: Production, components: [{name: a, image: a, critical: true, scaling: {maxReplicas: 1}}]}",
            "{components: [{name: a, image: a, scaling: {mode: Manual, minReplicas: 1}}]}",
        ],
    },
    Example {
        message: "webSocket.affinity Cookie needs exposure by a Gateway",
        field: "spec.components",
        admitted: &[
            "{host: h.test, components: [{name: a, image: a, path: /, webSocket: {affinity: Cookie}}], exposure: {gatewayRef: {name: g}}}",
            "{host: h.test, components: [{name: a, image: a, path: /, webSocket: {affinity: ClientIP}}]}",
            "{host: h.test, components: [{name: a, image: a, path: /, webSocket: {}}]}",
        ],
        refused: &[
            "{host: h.test, components: [{name: a, image: a, path: /, webSocket: {affinity: Cookie}}]}",
            "{host: h.test, components: [{name: a, image: a, path: /, webSocket: {affinity: Cookie}}], exposure: {mode: Ingress}}",
        ],
    },
    Example {
        message: "the names config, db, db-…, portal and app-config… are reserved",
        field: "spec.components[0].name",
        admitted: &[
            "{components: [{name: dbx, image: a}, {name: configs, image: a}, {name: app, image: a}]}",
        ],
        refused: &[
            "{components: [{name: db, image: a}]}",
            "{components: [{name: config, image: a}]}",
            "{components: [{name: db-pooler, image: a}]}",
            "{components: [{name: portal, image: a}]}",
            "{components: [{name: app-config-x, image: a}]}",
        ],
    },
    Example {
        message: "pooler.mode Transaction makes",
        field: "spec.database",
        admitted: &[
            "{image: a, preset: Generic, database: {managed: {pooler: {mode: Transaction}}}}",
            "{image: a, preset: Backstage, database: {managed: {pooler: {mode: Session}}}}",
        ],
        refused: &[
            "{image: a, preset: Backstage, database: {managed: {pooler: {mode: Transaction}}}}",
        ],
    },
    Example {
        message: "managed is only used in mode Managed",
        field: "spec.database.managed",
        admitted: &[
            "{image: a, database: {managed: {}}}",
            "{image: a, database: {mode: Managed, managed: {instances: 2}}}",
        ],
        refused: &["{image: a, database: {mode: None, managed: {instances: 2}}}"],
    },
    Example {
        message: "external is needed in mode External",
        field: "spec.database.external",
        admitted: &[
            "{image: a, database: {}}",
            "{image: a, database: {mode: None}}",
            "{image: a, database: {mode: External, external: {host: h, credentialsSecretRef: {name: s}}}}",
        ],
        refused: &[
            "{image: a, database: {mode: External}}",
            "{image: a, database: {external: {host: h, credentialsSecretRef: {name: s}}}}",
        ],
    },
    Example {
        message: "reclaimPolicy is only used in mode Managed",
        field: "spec.database.reclaimPolicy",
        admitted: &["{image: a, database: {reclaimPolicy: Delete}}"],
        refused: &["{image: a, database: {mode: None, reclaimPolicy: Delete}}"],
    },
    Example {
        message: "the tag of imageName says the version",
        field: "spec.database.managed.imageName",
        admitted: &[
            "{image: a, database: {managed: {imageName: 'p:17'}}}",
            "{image: a, database: {managed: {version: 18, imageCatalogRef: {name: c}}}}",
        ],
        refused: &[
            "{image: a, database: {managed: {imageName: 'p:17', version: 17}}}",
            "{image: a, database: {managed: {imageName: 'p:17', imageCatalogRef: {name: c}}}}",
        ],
    },
    Example {
        message: "a single instance has no standby",
        field: "spec.database.managed.synchronous",
        admitted: &[
            "{image: a, database: {managed: {instances: 2, synchronous: {mode: Required}}}}",
            "{image: a, database: {managed: {instances: 1, synchronous: {mode: None}}}}",
        ],
        refused: &[
            "{image: a, database: {managed: {instances: 1, synchronous: {mode: Preferred}}}}",
        ],
    },
    Example {
        message: "mode None has no pooler",
        field: "spec.database.managed.pooler.mode",
        admitted: &[
            "{image: a, database: {managed: {pooler: {mode: None}}}}",
            "{image: a, database: {managed: {pooler: {poolSize: 9}}}}",
        ],
        refused: &["{image: a, database: {managed: {pooler: {mode: None, instances: 2}}}}"],
    },
    Example {
        message: "caSecretRef is only used in mode VerifyFull",
        field: "spec.database.external.tls.caSecretRef",
        admitted: &[
            "{image: a, database: {mode: External, external: {host: h, credentialsSecretRef: {name: s}, tls: {caSecretRef: {name: c}}}}}",
        ],
        refused: &[
            "{image: a, database: {mode: External, external: {host: h, credentialsSecretRef: {name: s}, tls: {mode: Require, caSecretRef: {name: c}}}}}",
        ],
    },
    Example {
        message: "capacity Spot can be interrupted at any time",
        field: "spec.components[0].placement.capacity",
        admitted: &[
            "{components: [{name: a, image: a, critical: false, placement: {capacity: Spot}}]}",
            "{components: [{name: a, image: a, placement: {capacity: OnDemand}}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, placement: {capacity: Spot}}]}",
            "{components: [{name: a, image: a, critical: true, placement: {capacity: Spot}}]}",
        ],
    },
    Example {
        message: "minReplicas must not be above maxReplicas",
        field: "spec.components[0].scaling.minReplicas",
        admitted: &[
            "{components: [{name: a, image: a, scaling: {minReplicas: 4, maxReplicas: 4}}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, scaling: {minReplicas: 5, maxReplicas: 4}}]}",
        ],
    },
    Example {
        message: "mode Manual has no autoscaler",
        field: "spec.components[0].scaling.mode",
        admitted: &["{components: [{name: a, image: a, scaling: {mode: Manual, minReplicas: 2}}]}"],
        refused: &[
            "{components: [{name: a, image: a, scaling: {mode: Manual, maxReplicas: 9}}]}",
            "{components: [{name: a, image: a, scaling: {mode: Manual, cpu: {averageUtilization: 50}}}]}",
            "{components: [{name: a, image: a, scaling: {mode: Manual, memory: {averageUtilization: 50}}}]}",
            "{components: [{name: a, image: a, scaling: {mode: Manual, behavior: {}}}]}",
        ],
    },
    Example {
        message: "timeout must be from 10s to 2h",
        field: "spec.components[0].probes.startup.timeout",
        admitted: &[
            "{components: [{name: a, image: a, probes: {startup: {timeout: 10s}}}]}",
            "{components: [{name: a, image: a, probes: {startup: {timeout: 1h59m60s}}}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, probes: {startup: {timeout: 9s999ms}}}]}",
            "{components: [{name: a, image: a, probes: {startup: {timeout: 2h1ms}}}]}",
        ],
    },
    Example {
        message: "set either value or valueFrom, not both",
        field: "spec.components[0].env[0].value",
        admitted: &[
            "{components: [{name: a, image: a, env: [{name: X, value: x}, {name: Y}, {name: Z, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, env: [{name: X, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]}",
        ],
    },
    Example {
        message: "set exactly one of secretKeyRef, configMapKeyRef and fieldRef",
        field: "spec.components[0].env[0].valueFrom",
        admitted: &[
            "{components: [{name: a, image: a, env: [{name: X, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}",
            "{components: [{name: a, image: a, env: [{name: X, valueFrom: {configMapKeyRef: {name: s, key: k}}}]}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, env: [{name: X, valueFrom: {}}]}]}",
            "{components: [{name: a, image: a, env: [{name: X, valueFrom: {secretKeyRef: {name: s, key: k}, configMapKeyRef: {name: s, key: k}}}]}]}",
        ],
    },
    Example {
        message: "set exactly one of secretRef and configMapRef",
        field: "spec.components[0].envFrom[0]",
        admitted: &[
            "{components: [{name: a, image: a, envFrom: [{secretRef: {name: s}}, {configMapRef: {name: m}, prefix: P_}]}]}",
        ],
        refused: &[
            "{components: [{name: a, image: a, envFrom: [{}]}]}",
            "{components: [{name: a, image: a, envFrom: [{secretRef: {name: s}, configMapRef: {name: m}}]}]}",
        ],
    },
    Example {
        message: "set exactly one of configMapRef and secretRef",
        field: "spec.config.files[0]",
        admitted: &[
            "{image: a, config: {files: [{secretRef: {name: s}, mountPath: /a}, {configMapRef: {name: m}, mountPath: /b}]}}",
        ],
        refused: &[
            "{image: a, config: {files: [{mountPath: /a}]}}",
            "{image: a, config: {files: [{secretRef: {name: s}, configMapRef: {name: m}, mountPath: /a}]}}",
        ],
    },
    Example {
        message: "/etc/portal, /etc/portal-database and /tmp are used by the operator",
        field: "spec.config.files[0].mountPath",
        admitted: &[
            "{image: a, config: {files: [{secretRef: {name: s}, mountPath: /etc/portals}, {secretRef: {name: s}, mountPath: /tmp/in}]}}",
        ],
        refused: &[
            "{image: a, config: {files: [{secretRef: {name: s}, mountPath: /etc/portal}]}}",
            "{image: a, config: {files: [{secretRef: {name: s}, mountPath: /etc/portal/x}]}}",
            "{image: a, config: {files: [{secretRef: {name: s}, mountPath: /tmp}]}}",
        ],
    },
    Example {
        message: "mode Gateway needs gatewayRef",
        field: "spec.exposure.gatewayRef",
        admitted: &["{image: a, host: h.test, exposure: {mode: Gateway, gatewayRef: {name: g}}}"],
        refused: &["{image: a, host: h.test, exposure: {mode: Gateway}}"],
    },
    Example {
        message: "gatewayRef is only used in mode Auto and Gateway",
        field: "spec.exposure.gatewayRef",
        admitted: &["{image: a, host: h.test, exposure: {mode: Auto, gatewayRef: {name: g}}}"],
        refused: &[
            "{image: a, host: h.test, exposure: {mode: Ingress, gatewayRef: {name: g}}}",
            "{image: a, host: h.test, exposure: {mode: None, gatewayRef: {name: g}}}",
        ],
    },
    Example {
        message: "ingressClassName is only used in mode Ingress",
        field: "spec.exposure.ingressClassName",
        admitted: &[
            "{image: a, host: h.test, exposure: {ingressClassName: c}}",
            "{image: a, host: h.test, exposure: {mode: Ingress, ingressClassName: c}}",
        ],
        refused: &[
            "{image: a, host: h.test, exposure: {gatewayRef: {name: g}, ingressClassName: c}}",
            "{image: a, exposure: {mode: None, ingressClassName: c}}",
        ],
    },
    Example {
        message: "timeouts are set on the HTTPRoute and need gatewayRef",
        field: "spec.exposure.timeouts",
        admitted: &[
            "{image: a, host: h.test, exposure: {gatewayRef: {name: g}, timeouts: {request: 5s}}}",
        ],
        refused: &["{image: a, host: h.test, exposure: {timeouts: {request: 5s}}}"],
    },
    Example {
        message: "tls.mode Gateway needs gatewayRef",
        field: "spec.exposure.tls.mode",
        admitted: &[
            "{image: a, host: h.test, exposure: {gatewayRef: {name: g}, tls: {mode: Gateway}}}",
        ],
        refused: &["{image: a, host: h.test, exposure: {tls: {mode: Gateway}}}"],
    },
    Example {
        message: "behind a Gateway the certificate belongs to its listener",
        field: "spec.exposure.tls.secretRef",
        admitted: &[
            "{image: a, host: h.test, exposure: {gatewayRef: {name: g}, tls: {issuerRef: {name: i}}}}",
        ],
        refused: &[
            "{image: a, host: h.test, exposure: {gatewayRef: {name: g}, tls: {secretRef: {name: s}}}}",
            "{image: a, host: h.test, exposure: {gatewayRef: {name: g}, tls: {mode: Secret, secretRef: {name: s}}}}",
        ],
    },
    Example {
        message: "mode CertManager needs issuerRef",
        field: "spec.exposure.tls.issuerRef",
        admitted: &[
            "{image: a, host: h.test, exposure: {tls: {mode: CertManager, issuerRef: {name: i}}}}",
        ],
        refused: &["{image: a, host: h.test, exposure: {tls: {mode: CertManager}}}"],
    },
    Example {
        message: "issuerRef is only used in mode CertManager, without secretRef",
        field: "spec.exposure.tls.issuerRef",
        admitted: &["{image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}"],
        refused: &[
            "{image: a, host: h.test, exposure: {tls: {mode: None, issuerRef: {name: i}}}}",
            "{image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}, secretRef: {name: s}}}}",
        ],
    },
    Example {
        message: "mode Secret needs secretRef",
        field: "spec.exposure.tls.secretRef",
        admitted: &[
            "{image: a, host: h.test, exposure: {tls: {mode: Secret, secretRef: {name: s}}}}",
        ],
        refused: &["{image: a, host: h.test, exposure: {tls: {mode: Secret}}}"],
    },
    Example {
        message: "secretRef is only used in mode Secret",
        field: "spec.exposure.tls.secretRef",
        admitted: &["{image: a, host: h.test, exposure: {tls: {secretRef: {name: s}}}}"],
        refused: &[
            "{image: a, host: h.test, exposure: {tls: {mode: None, secretRef: {name: s}}}}",
            "{image: a, host: h.test, exposure: {tls: {mode: CertManager, issuerRef: {name: i}, secretRef: {name: s}}}}",
        ],
    },
    Example {
        message: "set exactly one of internet: true, cidr and namespace",
        field: "spec.network.allowedDestinations[0]",
        admitted: &[
            "{image: a, network: {allowedDestinations: [{internet: true}, {cidr: 10.0.0.0/8}, {namespace: n}, {internet: false, namespace: n}]}}",
        ],
        refused: &[
            "{image: a, network: {allowedDestinations: [{}]}}",
            "{image: a, network: {allowedDestinations: [{internet: false}]}}",
            "{image: a, network: {allowedDestinations: [{internet: true, namespace: n}]}}",
        ],
    },
    Example {
        message: "cidr must be an address range such as 10.0.0.0/8",
        field: "spec.network.allowedDestinations[0].cidr",
        admitted: &[
            "{image: a, network: {allowedDestinations: [{cidr: 192.0.2.0/24}, {cidr: \"2001:db8::/32\"}]}}",
        ],
        refused: &[
            "{image: a, network: {allowedDestinations: [{cidr: 10.0.0.0/33}]}}",
            "{image: a, network: {allowedDestinations: [{cidr: 10.0.0/8}]}}",
        ],
    },
    Example {
        message: "policy Open allows everything",
        field: "spec.network.policy",
        admitted: &[
            "{image: a, network: {policy: Open}}",
            "{image: a, network: {policy: Restricted, allowedClients: [{namespace: n}]}}",
        ],
        refused: &[
            "{image: a, network: {policy: Open, allowedClients: [{namespace: n}]}}",
            "{image: a, network: {policy: Open, allowedDestinations: [{internet: true}]}}",
        ],
    },
    Example {
        message: "backup is made of a managed database",
        field: "spec.backup",
        admitted: &[
            "{image: 'a:1', backup: {objectives: {rpo: 1h}}}",
            "{image: 'a:1', database: {mode: External, external: {host: h, credentialsSecretRef: {name: s}}}}",
        ],
        refused: &["{image: 'a:1', database: {mode: None}, backup: {objectives: {rpo: 1h}}}"],
    },
    Example {
        message: "schedule, retention and archive need a destination",
        field: "spec.backup.destination",
        admitted: &[
            "{image: 'a:1', backup: {schedule: '0 2 * * *', destination: {path: 's3://b/f', credentialsSecretRef: {name: s}}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {schedule: '0 2 * * *'}}",
            "{image: 'a:1', backup: {retention: 7d}}",
            "{image: 'a:1', backup: {archive: {keep: 3}}}",
        ],
    },
    Example {
        message: "set exactly one of credentialsSecretRef and workloadIdentity",
        field: "spec.backup.destination.credentialsSecretRef",
        admitted: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', workloadIdentity: {}}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b'}}}",
            "{image: 'a:1', backup: {destination: {path: 's3://b', workloadIdentity: {}, credentialsSecretRef: {name: s}}}}",
        ],
    },
    Example {
        message: "endpoint and region are only used with a path that begins with s3://",
        field: "spec.backup.destination.endpoint",
        admitted: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b/f', endpoint: 'http://minio:9000', region: eu-west-1, credentialsSecretRef: {name: s}}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {destination: {path: 'gs://b/f', endpoint: 'http://minio:9000', credentialsSecretRef: {name: s}}}}",
            "{image: 'a:1', backup: {destination: {path: 'gs://b/f', region: eu-west-1, workloadIdentity: {}}}}",
        ],
    },
    Example {
        message: "caSecretRef is the authority of an endpoint with https",
        field: "spec.backup.destination.caSecretRef",
        admitted: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', endpoint: 'https://minio:9000', caSecretRef: {name: ca}, credentialsSecretRef: {name: s}}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', caSecretRef: {name: ca}, credentialsSecretRef: {name: s}}}}",
            "{image: 'a:1', backup: {destination: {path: 's3://b', endpoint: 'http://minio:9000', caSecretRef: {name: ca}, credentialsSecretRef: {name: s}}}}",
        ],
    },
    Example {
        message: "an S3 store has accessKeyIdKey and secretAccessKeyKey",
        field: "spec.backup.destination.credentialsSecretRef",
        admitted: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', credentialsSecretRef: {name: s, accessKeyIdKey: id, secretAccessKeyKey: key}}}}",
            "{image: 'a:1', backup: {destination: {path: 'gs://b', credentialsSecretRef: {name: s, key: json}}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', credentialsSecretRef: {name: s, key: json}}}}",
            "{image: 'a:1', backup: {destination: {path: 'gs://b', credentialsSecretRef: {name: s, accessKeyIdKey: id}}}}",
        ],
    },
    Example {
        message: "archive.path must be in the same kind of store",
        field: "spec.backup.archive",
        admitted: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', workloadIdentity: {}}, archive: {path: 's3://other/f'}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', workloadIdentity: {}}, archive: {path: 'gs://other/f'}}}",
        ],
    },
    Example {
        message: "mode None makes no dumps",
        field: "spec.backup.archive.mode",
        admitted: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', workloadIdentity: {}}, archive: {mode: None}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {destination: {path: 's3://b', workloadIdentity: {}}, archive: {mode: None, keep: 3}}}",
        ],
    },
    Example {
        message: "rpo must be from 1m to 168h",
        field: "spec.backup.objectives.rpo",
        admitted: &[
            "{image: 'a:1', backup: {objectives: {rpo: 1m}}}",
            "{image: 'a:1', backup: {objectives: {rpo: 168h}}}",
        ],
        refused: &[
            "{image: 'a:1', backup: {objectives: {rpo: 59s}}}",
            "{image: 'a:1', backup: {objectives: {rpo: 169h}}}",
        ],
    },
];
