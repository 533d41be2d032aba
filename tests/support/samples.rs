//! Portals that tests begin with.

use serde_json::{Value, json};

/// A portal with every kind of child, of preset Generic, exposed by an Ingress with a certificate.
pub fn ingress() -> Value {
    json!({
        "metadata": {"name": "portal"},
        "spec": {
            "profile": "Production",
            "preset": "Generic",
            "host": "portal.example.com",
            "components": [{
                "name": "app", "image": "registry.local/app:1", "path": "/",
            }],
            "config": {"appConfig": {"app": {"title": "Acme"}}},
            "exposure": {"tls": {"issuerRef": {"name": "letsencrypt"}}},
        },
    })
}

/// The same behind a Gateway, whose listener has the certificate.
pub fn gateway() -> Value {
    let mut portal = ingress();
    portal["spec"]["exposure"] = json!({"gatewayRef": {"name": "public", "namespace": "infra"}});
    portal
}

/// Backups to an object store.
pub fn backup() -> Value {
    json!({
        "destination": {"path": "s3://silo/portal", "credentialsSecretRef": {"name": "silo"}},
        "archive": {"keep": 3},
    })
}

/// The smallest portal: one pod, not exposed.
pub fn small() -> Value {
    json!({
        "metadata": {"name": "portal"},
        "spec": {"profile": "Ephemeral", "image": "registry.local/app:1"},
    })
}

/// A Backstage in Production, not exposed, whose pods need five seconds to be ready.
pub fn slow_backstage() -> Value {
    json!({
        "metadata": {"name": "portal"},
        "spec": {
            "profile": "Production",
            "preset": "Backstage",
            "image": "registry.local/backstage:slow",
        },
    })
}
