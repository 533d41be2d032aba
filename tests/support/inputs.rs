//! Specs that use every field, and texts for every pattern of the schema.
#![allow(dead_code, reason = "each test file uses a part of it")]

/// Specs that together use every field.
pub(crate) const FULL: [&str; 5] = [
    r#"
profile: Production
preset: Generic
host: harbor.test
suspend: false
imagePullSecrets: [{name: quay}]
components:
- name: crane
  image: registry.test/crane:2
  port: 9000
  path: /lift
  critical: false
  command: [/crane]
  args: [--lift]
  env:
  - {name: HEIGHT, value: "3"}
  - {name: KEY, valueFrom: {secretKeyRef: {name: keyring, key: main, optional: true}}}
  - {name: MODE, valueFrom: {configMapKeyRef: {name: modes, key: today, optional: false}}}
  - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  envFrom:
  - {secretRef: {name: keyring}, prefix: RING_}
  - {configMapRef: {name: modes}}
  resources: {requests: {cpu: 100m, memory: 1Gi}, limits: {cpu: "9", memory: 20Gi}}
  scaling:
    mode: Auto
    minReplicas: 2
    maxReplicas: 4
    cpu: {averageUtilization: 60}
    memory: {averageUtilization: 60}
    behavior:
      scaleUp: {stabilizationWindowSeconds: 0, selectPolicy: Max, policies: [{type: Pods, value: 2, periodSeconds: 15}]}
      scaleDown: {stabilizationWindowSeconds: 9, selectPolicy: Min, policies: [{type: Percent, value: 5, periodSeconds: 60}]}
  placement:
    spread: {zones: Preferred, nodes: Preferred}
    nodeSelector: {disk: fast}
    tolerations: [{key: dedicated, operator: Equal, value: docks, effect: NoExecute, tolerationSeconds: 30}]
    priorityClassName: tide
    capacity: Spot
  probes: {liveness: {path: /alive}, readiness: {path: /able}, startup: {timeout: 1m}}
  webSocket: {affinity: Cookie}
- {name: pier, database: None, image: "registry.test/pier:1", path: /}
config:
  appConfig: {any: {thing: [1]}}
  files:
  - {configMapRef: {name: charts}, mountPath: /srv/charts}
  - {secretRef: {name: keyring}, mountPath: /srv/keys}
database:
  mode: Managed
  reclaimPolicy: Retain
  confirmDelete: harbor
  managed:
    instances: 2
    version: 17
    imageCatalogRef: {kind: ImageCatalog, name: gallery}
    storage: {size: 30Gi, className: slow, walSize: 3Gi}
    synchronous: {mode: Required}
    pooler: {mode: Session, instances: 3, poolSize: 44, imageName: "registry.test/bouncer:1"}
    parameters: {work_mem: 9MB}
    placement:
      nodeSelector: {disk: slow}
      tolerations: [{key: wet, operator: Equal, value: docks, effect: NoExecute, tolerationSeconds: 30}]
    whenSuspended: Hibernate
exposure:
  mode: Gateway
  gatewayRef: {name: lighthouse, namespace: coast, sectionName: secure}
  annotations: {dns.test/ttl: "60"}
  controllerNamespace: beacons
  tls: {mode: CertManager, issuerRef: {kind: Issuer, group: pki.test, name: notary}}
  timeouts: {request: 45s}
network:
  policy: Restricted
  allowedDestinations:
  - {internet: true, ports: [443]}
  - {cidr: 10.7.0.0/16}
  - {namespace: vault}
  allowedClients: [{namespace: watch, ports: [http]}]
security: {serviceAccountAnnotations: {cloud.test/role: pilot}}
policies: [{name: ImagePinned, waiver: {reason: tags are signed, until: "2030-01-01T00:00:00Z"}}]
"#,
    r"
size: Small
image: registry.test/crane:7
host: harbor.test
database:
  mode: External
  external:
    host: data.test
    port: 6432
    database: ledger
    credentialsSecretRef: {name: keyring}
    tls: {mode: VerifyFull, caSecretRef: {name: seal, key: root.pem}}
    maxConnections: 90
exposure:
  mode: Ingress
  ingressClassName: ferry
  tls: {mode: Secret, secretRef: {name: harbor-seal}}
",
    r#"
image: registry.test/crane:7
database: {managed: {imageName: "registry.test/postgresql:17.2"}}
backup:
  destination:
    path: s3://silo/harbor
    endpoint: https://silo.test:9000
    region: north-1
    credentialsSecretRef: {name: keyring, accessKeyIdKey: id, secretAccessKeyKey: word}
    caSecretRef: {name: seal, key: root.pem}
  schedule: 3 1 * * *
  retention: 9d
  archive: {mode: Dump, schedule: 3 4 1 * *, keep: 5, path: "s3://attic/harbor", imageName: "registry.test/porter:1"}
  objectives: {rpo: 4m}
"#,
    r#"
image: registry.test/crane:7
database: {}
backup: {destination: {path: "gs://silo/harbor", credentialsSecretRef: {name: keyring, key: main}}}
"#,
    r#"
image: registry.test/crane:7
database: {}
backup: {destination: {path: "s3://silo/harbor", workloadIdentity: {serviceAccountAnnotations: {cloud.test/role: keeper}}}}
"#,
];

/// Texts that fit a pattern, texts that do not, and how to make a long one that does.
pub(crate) struct Pattern {
    pub(crate) regex: &'static str,
    pub(crate) fit: &'static [&'static str],
    pub(crate) unfit: &'static [&'static str],
    pub(crate) long: fn(usize) -> String,
}

pub(crate) const PATTERNS: &[Pattern] = &[
    Pattern {
        regex: r"^\S+:[0-9][^\s/]*$",
        fit: &["registry.test:5000/p:17", "p:18.1-bookworm@sha256:00"],
        unfit: &["p", "p:latest", "p:17 ", "p:17/x"],
        long: |size| format!("{}:1", "a".repeat(size - 2)),
    },
    Pattern {
        regex: r"^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$",
        fit: &["d", "db.data.svc", "10.0.0.1", "fd00::1"],
        unfit: &["-d", "d.", "d/x", "d_x"],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^[A-Za-z_][A-Za-z0-9_$-]*$",
        fit: &["a", "_a$1-b"],
        unfit: &["1a", "a b", "a.b"],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^[0-9*/,-]+ [0-9*/,-]+ [0-9*/,-]+ [0-9*/,-]+ [0-6*/,-]+$",
        fit: &["0 2 * * *", "*/5 1-3 1,15 * 0"],
        unfit: &[
            "",
            "0 2 * *",
            "0 0 2 * * *",
            "0 2 * * 7",
            "0 2 * * MON",
            "@daily",
        ],
        long: |size| format!("{} * * * *", "1".repeat(size - 8)),
    },
    Pattern {
        regex: r"^[1-9][0-9]{0,3}[dwm]$",
        fit: &["30d", "4w", "12m"],
        unfit: &["", "0d", "30", "d", "30h", "1y"],
        long: |size| format!("1{}d", "0".repeat(size - 2)),
    },
    Pattern {
        regex: r"^((s3|gs)://[^/\s]+|https://[^/\s]+\.blob\.core\.windows\.net/[^/\s]+)(/[^/\s]+)*/?$",
        fit: &[
            "s3://silo",
            "gs://silo/a/b/",
            "https://harbor.blob.core.windows.net/silo/a",
        ],
        unfit: &[
            "silo/a",
            "s3:///a",
            "s3://silo//a",
            "https://silo.test/a",
            "ftp://silo",
        ],
        long: |size| format!("s3://{}", "a".repeat(size - 5)),
    },
    Pattern {
        regex: r"^https?://[A-Za-z0-9.\[\]:-]+/?$",
        fit: &["http://silo:9000", "https://[fd00::1]:9000/"],
        unfit: &["silo:9000", "https://", "https://silo/a", "ftp://silo"],
        long: |size| format!("http://{}", "a".repeat(size - 7)),
    },
    Pattern {
        regex: r"^[a-z0-9-]+$",
        fit: &["eu-central-1"],
        unfit: &["EU", "a b"],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^\S+$",
        fit: &["a", "registry.test:5000/a/b@sha256:00"],
        unfit: &["a b", "a\n"],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        fit: &["harbor", "h-1.harbor.test"],
        unfit: &[
            "Harbor.test",
            "*.harbor.test",
            "harbor.",
            "-h",
            "h..t",
            "h_1",
            "h.test:80",
        ],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        fit: &["c", "c-1"],
        unfit: &["C", "1c", "-c", "c-", "c.d", "c_d"],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        fit: &["c", "c-1", "1c"],
        unfit: &["C", "-c", "c-", "c.d", "c_d"],
        long: |size| "a".repeat(size),
    },
    Pattern {
        regex: r"^/([-A-Za-z0-9._~/]*[-A-Za-z0-9._~])?$",
        fit: &["/", "/a", "/a/B_c~d.e-f"],
        unfit: &["a", "/a/", "/a b", "/a?b", "/a*", "/é"],
        long: |size| format!("/{}", "a".repeat(size - 1)),
    },
    Pattern {
        regex: r"^[A-Za-z_][-A-Za-z0-9_.]*$",
        fit: &["A", "_a.b-c", "APP_CONFIG_app_baseUrl"],
        unfit: &["1A", "A=B", "A B", "-A"],
        long: |size| "A".repeat(size),
    },
    Pattern {
        regex: r"^/\S*$",
        fit: &["/", "/able?deep=1"],
        unfit: &["able", "/a b"],
        long: |size| format!("/{}", "a".repeat(size - 1)),
    },
    Pattern {
        regex: r"^/[-A-Za-z0-9._]+(/[-A-Za-z0-9._]+)*$",
        fit: &["/srv", "/srv/a-b/c_d.e"],
        unfit: &["srv", "/srv/", "//srv", "/srv/é"],
        long: |size| format!("/{}", "a".repeat(size - 1)),
    },
    Pattern {
        regex: r"^[0-9a-fA-F.:]+/[0-9]{1,3}$",
        fit: &["10.0.0.0/8", "::/0"],
        unfit: &["10.0.0.0", "10.0.0.0/", "host/8", "10.0.0.0/1234"],
        long: |size| format!("{}/8", "1".repeat(size - 2)),
    },
    Pattern {
        regex: r"^[0-9]+(\.[0-9]+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        fit: &["1", "250m", "1.5Gi"],
        unfit: &["", "-1", "1 Gi", "1GB", ".5", "1e3"],
        long: |size| "1".repeat(size),
    },
    Pattern {
        regex: r"^([0-9]{1,5}(h|m|s|ms)){1,4}$",
        fit: &["1s", "1h30m15s500ms"],
        unfit: &["", "1", "s", "-1s", "1d", "1.5h", "1s1s1s1s1s"],
        long: |size| format!("{}s", "1".repeat(size - 1)),
    },
];
