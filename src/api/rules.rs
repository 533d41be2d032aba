//! Validation rules (CEL) of the `PortalPlatform` CRD: one table, injected into the generated schema.
//!
//! Each rule names the field at fault and the remedy. Rules about the value of one field (length, range, pattern) stand at the
//! field in `spec.rs`; here are those that look at more than one.

mod transitions;

use serde_json::{Value, json};
pub use transitions::TRANSITIONS;

/// A CEL rule of the CRD.
pub struct Rule {
    /// Where the rule is rooted: a path of properties from the object, `[]` for the items of a list, empty for the
    /// object itself.
    pub at: &'static str,
    /// The expression; `self` is the value at `at`.
    pub rule: &'static str,
    /// What the user is told.
    pub message: &'static str,
    /// The field at fault, relative to `at`; empty where it is `at` itself.
    pub field: &'static str,
}

/// Every rule of the CRD.
pub const RULES: &[Rule] = &[
    Rule {
        at: "",
        rule: "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        message: "metadata.name must be at most 40 characters, begin with a letter and hold only a-z, 0-9 and '-', since Services are named after it",
        field: "",
    },
    Rule {
        at: "spec",
        rule: "has(self.image) != (has(self.components) && self.components.size() > 0)",
        message: "set either image (one component) or components, not both and not neither",
        field: ".image",
    },
    Rule {
        at: "spec",
        rule: "!has(self.components) || self.components.all(c, !has(c.path) || self.components.exists_one(d, has(d.path) && d.path == c.path))",
        message: "two components have the same path; give each exposed component a path of its own",
        field: ".components",
    },
    Rule {
        at: "spec",
        rule: "has(self.host) || !has(self.components) || !self.components.exists(c, has(c.path)) || (has(self.exposure) && has(self.exposure.mode) && self.exposure.mode == 'None')",
        message: "host is needed because a component has a path; set host, or exposure.mode: None",
        field: ".host",
    },
    Rule {
        at: "spec",
        rule: "has(self.host) || !has(self.exposure) || !has(self.exposure.mode) || !(self.exposure.mode in ['Gateway', 'Ingress'])",
        message: "host is needed in exposure.mode Gateway and Ingress",
        field: ".host",
    },
    Rule {
        at: "spec",
        rule: "!has(self.components) || !has(self.exposure) || !has(self.exposure.mode) || !(self.exposure.mode in ['Gateway', 'Ingress']) || self.components.exists(c, has(c.path))",
        message: "exposure.mode asks for exposure, but no component has a path; set path on a component",
        field: ".components",
    },
    Rule {
        at: "spec",
        rule: "(has(self.profile) && self.profile != 'Production') || !has(self.components) || self.components.all(c, (has(c.critical) && !c.critical) || !has(c.scaling) || ((!has(c.scaling.minReplicas) || c.scaling.minReplicas >= 2) && (!has(c.scaling.maxReplicas) || c.scaling.maxReplicas >= 2)))",
        message: "profile Production keeps at least 2 replicas of a critical component; raise scaling.minReplicas and maxReplicas to 2, or set critical: false",
        field: ".components",
    },
    Rule {
        at: "spec",
        rule: "!has(self.components) || !self.components.exists(c, has(c.webSocket) && has(c.webSocket.affinity) && c.webSocket.affinity == 'Cookie') || (has(self.exposure) && has(self.exposure.gatewayRef) && (!has(self.exposure.mode) || self.exposure.mode in ['Auto', 'Gateway']))",
        message: "webSocket.affinity Cookie needs exposure by a Gateway; set exposure.gatewayRef, or use affinity None with your ingress controller's annotation in exposure.annotations",
        field: ".components",
    },
    Rule {
        at: "spec.components[]",
        rule: "!(self.name in ['db', 'config', 'portal']) && !self.name.startsWith('db-') && !self.name.startsWith('app-config')",
        message: "the names config, db, db-…, portal and app-config… are reserved for objects and variables of the operator; choose another name",
        field: ".name",
    },
    Rule {
        at: "spec.components[]",
        rule: "!has(self.placement) || !has(self.placement.capacity) || self.placement.capacity != 'Spot' || (has(self.critical) && !self.critical)",
        message: "capacity Spot can be interrupted at any time and is not for critical components; set critical: false or capacity: OnDemand",
        field: ".placement.capacity",
    },
    Rule {
        at: "spec",
        rule: "!has(self.preset) || self.preset != 'Backstage' || !has(self.database) || !has(self.database.managed) || !has(self.database.managed.pooler) || !has(self.database.managed.pooler.mode) || self.database.managed.pooler.mode != 'Transaction'",
        message: "pooler.mode Transaction makes the first start of Backstage fail; use Session or None",
        field: ".database",
    },
    Rule {
        at: "spec.database",
        rule: "!has(self.managed) || !has(self.mode) || self.mode == 'Managed'",
        message: "managed is only used in mode Managed; remove it or change mode",
        field: ".managed",
    },
    Rule {
        at: "spec.database",
        rule: "has(self.external) == (has(self.mode) && self.mode == 'External')",
        message: "external is needed in mode External, and only used there",
        field: ".external",
    },
    Rule {
        at: "spec.database",
        rule: "!has(self.reclaimPolicy) || !has(self.mode) || self.mode == 'Managed'",
        message: "reclaimPolicy is only used in mode Managed; remove it or change mode",
        field: ".reclaimPolicy",
    },
    Rule {
        at: "spec.database.managed",
        rule: "!has(self.imageName) || (!has(self.version) && !has(self.imageCatalogRef))",
        message: "the tag of imageName says the version; remove version and imageCatalogRef, or imageName",
        field: ".imageName",
    },
    Rule {
        at: "spec.database.managed",
        rule: "!has(self.instances) || self.instances > 1 || !has(self.synchronous) || !has(self.synchronous.mode) || self.synchronous.mode == 'None'",
        message: "a single instance has no standby to wait for; raise instances, or set synchronous.mode: None",
        field: ".synchronous",
    },
    Rule {
        at: "spec.database.managed.pooler",
        rule: "!has(self.mode) || self.mode != 'None' || (!has(self.instances) && !has(self.poolSize) && !has(self.imageName))",
        message: "mode None has no pooler; remove instances, poolSize and imageName",
        field: ".mode",
    },
    Rule {
        at: "spec.database.external.tls",
        rule: "!has(self.caSecretRef) || !has(self.mode) || self.mode == 'VerifyFull'",
        message: "caSecretRef is only used in mode VerifyFull; remove it or change mode",
        field: ".caSecretRef",
    },
    Rule {
        at: "spec",
        rule: "!has(self.backup) || !has(self.database) || !has(self.database.mode) || self.database.mode == 'Managed'",
        message: "backup is made of a managed database; remove it, or set database.mode: Managed",
        field: ".backup",
    },
    Rule {
        at: "spec.backup",
        rule: "has(self.destination) || (!has(self.schedule) && !has(self.retention) && !has(self.archive))",
        message: "schedule, retention and archive need a destination; set destination.path, or remove them",
        field: ".destination",
    },
    Rule {
        at: "spec.backup.destination",
        rule: "has(self.credentialsSecretRef) != has(self.workloadIdentity)",
        message: "set exactly one of credentialsSecretRef and workloadIdentity",
        field: ".credentialsSecretRef",
    },
    Rule {
        at: "spec.backup.destination",
        rule: "self.path.startsWith('s3://') || (!has(self.endpoint) && !has(self.region))",
        message: "endpoint and region are only used with a path that begins with s3://; remove them",
        field: ".endpoint",
    },
    Rule {
        at: "spec.backup.destination",
        rule: "!has(self.caSecretRef) || (has(self.endpoint) && self.endpoint.startsWith('https://'))",
        message: "caSecretRef is the authority of an endpoint with https; set endpoint, or remove it",
        field: ".caSecretRef",
    },
    Rule {
        at: "spec.backup.destination",
        rule: "!has(self.credentialsSecretRef) || (self.path.startsWith('s3://') ? !has(self.credentialsSecretRef.key) : !has(self.credentialsSecretRef.accessKeyIdKey) && !has(self.credentialsSecretRef.secretAccessKeyKey))",
        message: "an S3 store has accessKeyIdKey and secretAccessKeyKey, the others have key; remove what does not fit the path",
        field: ".credentialsSecretRef",
    },
    Rule {
        at: "spec.backup",
        rule: "!has(self.archive) || !has(self.archive.path) || !has(self.destination) || self.archive.path.startsWith('s3://') == self.destination.path.startsWith('s3://') && self.archive.path.startsWith('gs://') == self.destination.path.startsWith('gs://')",
        message: "archive.path must be in the same kind of store as destination.path",
        field: ".archive",
    },
    Rule {
        at: "spec.backup.archive",
        rule: "!has(self.mode) || self.mode != 'None' || (!has(self.schedule) && !has(self.keep) && !has(self.path) && !has(self.imageName))",
        message: "mode None makes no dumps; remove schedule, keep, path and imageName",
        field: ".mode",
    },
    Rule {
        at: "spec.backup.objectives",
        rule: "!has(self.rpo) || (duration(self.rpo) >= duration('1m') && duration(self.rpo) <= duration('168h'))",
        message: "rpo must be from 1m to 168h",
        field: ".rpo",
    },
    Rule {
        at: "spec.components[].scaling",
        rule: "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
        message: "minReplicas must not be above maxReplicas",
        field: ".minReplicas",
    },
    Rule {
        at: "spec.components[].scaling",
        rule: "!has(self.mode) || self.mode != 'Manual' || (!has(self.cpu) && !has(self.memory) && !has(self.behavior) && !has(self.maxReplicas))",
        message: "mode Manual has no autoscaler; remove maxReplicas, cpu, memory and behavior, or set mode: Auto",
        field: ".mode",
    },
    Rule {
        at: "spec.components[].probes.startup",
        rule: "duration(self.timeout) >= duration('10s') && duration(self.timeout) <= duration('2h')",
        message: "timeout must be from 10s to 2h",
        field: ".timeout",
    },
    Rule {
        at: "spec.components[].env[]",
        rule: "!(has(self.value) && has(self.valueFrom))",
        message: "set either value or valueFrom, not both",
        field: ".value",
    },
    Rule {
        at: "spec.components[].env[].valueFrom",
        rule: "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1",
        message: "set exactly one of secretKeyRef, configMapKeyRef and fieldRef",
        field: "",
    },
    Rule {
        at: "spec.components[].envFrom[]",
        rule: "has(self.secretRef) != has(self.configMapRef)",
        message: "set exactly one of secretRef and configMapRef",
        field: "",
    },
    Rule {
        at: "spec.config.files[]",
        rule: "has(self.secretRef) != has(self.configMapRef)",
        message: "set exactly one of configMapRef and secretRef",
        field: "",
    },
    Rule {
        at: "spec.config.files[]",
        rule: "!(self.mountPath in ['/etc/portal', '/etc/portal-database', '/tmp']) && !self.mountPath.startsWith('/etc/portal/')",
        message: "/etc/portal, /etc/portal-database and /tmp are used by the operator; choose another folder",
        field: ".mountPath",
    },
    Rule {
        at: "spec.exposure",
        rule: "!has(self.mode) || self.mode != 'Gateway' || has(self.gatewayRef)",
        message: "mode Gateway needs gatewayRef with the name of a Gateway",
        field: ".gatewayRef",
    },
    Rule {
        at: "spec.exposure",
        rule: "!has(self.gatewayRef) || !has(self.mode) || self.mode in ['Auto', 'Gateway']",
        message: "gatewayRef is only used in mode Auto and Gateway; remove it or change mode",
        field: ".gatewayRef",
    },
    Rule {
        at: "spec.exposure",
        rule: "!has(self.ingressClassName) || (!has(self.gatewayRef) && (!has(self.mode) || self.mode in ['Auto', 'Ingress']))",
        message: "ingressClassName is only used in mode Ingress; remove it or gatewayRef",
        field: ".ingressClassName",
    },
    Rule {
        at: "spec.exposure",
        rule: "!has(self.timeouts) || has(self.gatewayRef)",
        message: "timeouts are set on the HTTPRoute and need gatewayRef; with an Ingress use the annotation of its controller",
        field: ".timeouts",
    },
    Rule {
        at: "spec.exposure",
        rule: "!has(self.tls) || !has(self.tls.mode) || self.tls.mode != 'Gateway' || has(self.gatewayRef)",
        message: "tls.mode Gateway needs gatewayRef; with an Ingress use CertManager or Secret",
        field: ".tls.mode",
    },
    Rule {
        at: "spec.exposure",
        rule: "!has(self.tls) || !has(self.gatewayRef) || !(has(self.tls.secretRef) || (has(self.tls.mode) && self.tls.mode == 'Secret'))",
        message: "behind a Gateway the certificate belongs to its listener; use tls.mode Gateway, or CertManager and refer to the Secret <portal>-tls in the listener",
        field: ".tls.secretRef",
    },
    Rule {
        at: "spec.exposure.tls",
        rule: "!has(self.mode) || self.mode != 'CertManager' || has(self.issuerRef)",
        message: "mode CertManager needs issuerRef with the name of an Issuer or ClusterIssuer",
        field: ".issuerRef",
    },
    Rule {
        at: "spec.exposure.tls",
        rule: "!has(self.issuerRef) || ((!has(self.mode) || self.mode == 'CertManager') && !has(self.secretRef))",
        message: "issuerRef is only used in mode CertManager, without secretRef; remove one of them",
        field: ".issuerRef",
    },
    Rule {
        at: "spec.exposure.tls",
        rule: "!has(self.mode) || self.mode != 'Secret' || has(self.secretRef)",
        message: "mode Secret needs secretRef with the name of a TLS Secret",
        field: ".secretRef",
    },
    Rule {
        at: "spec.exposure.tls",
        rule: "!has(self.secretRef) || !has(self.mode) || self.mode == 'Secret'",
        message: "secretRef is only used in mode Secret; remove it or change mode",
        field: ".secretRef",
    },
    Rule {
        at: "spec.network.allowedDestinations[]",
        rule: "[has(self.internet) && self.internet, has(self.cidr), has(self.__namespace__)].filter(x, x).size() == 1",
        message: "set exactly one of internet: true, cidr and namespace",
        field: "",
    },
    Rule {
        at: "spec.network.allowedDestinations[]",
        rule: "!has(self.cidr) || isCIDR(self.cidr)",
        message: "cidr must be an address range such as 10.0.0.0/8",
        field: ".cidr",
    },
    Rule {
        at: "spec.network",
        rule: "!has(self.policy) || self.policy != 'Open' || (!has(self.allowedDestinations) && !has(self.allowedClients))",
        message: "policy Open allows everything; remove allowedDestinations and allowedClients, or set policy: Restricted",
        field: ".policy",
    },
];

/// Adds the rules to an `openAPIV3Schema`.
///
/// # Panics
/// If a rule is rooted where the schema has no such property: a mistake in the table, found by every test.
pub fn inject(schema: &mut Value) {
    for rule in RULES.iter().chain(TRANSITIONS) {
        let target = locate(schema, rule.at);
        let mut entry = json!({"rule": rule.rule, "message": rule.message});
        if !rule.field.is_empty() {
            entry["fieldPath"] = json!(rule.field);
        }
        match &mut target["x-kubernetes-validations"] {
            Value::Array(rules) => rules.push(entry),
            none => *none = json!([entry]),
        }
    }
}

fn locate<'a>(schema: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(schema, |node, part| {
            let name = part.trim_end_matches("[]");
            let property = &mut node["properties"][name];
            assert!(property.is_object(), "no property {name} in {path}");
            if part.ends_with("[]") {
                &mut property["items"]
            } else {
                property
            }
        })
}
