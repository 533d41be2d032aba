//! The certificate of a portal whose TLS is left to cert-manager.

use serde_json::json;

use super::{
    Child, Kind, Manifest,
    live::{Health, Live},
};
use crate::{
    foreign::cert_manager::{CertificateSpec, IssuerReference, PrivateKey},
    plan::{Plan, TlsSource},
};

pub(super) struct CertificateChild;

static KIND: Kind = Kind {
    group: "cert-manager.io",
    version: "v1",
    kind: "Certificate",
    plural: "certificates",
    wave: 0,
    optional: true,
    pruned: true,
};

impl Child for CertificateChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let TlsSource::CertManager(issuer) = &plan.exposure.tls else {
            return Vec::new();
        };
        let spec = CertificateSpec {
            secret_name: plan.identity.tls_secret_name(),
            dns_names: vec![plan.exposure.host.clone()],
            issuer_ref: IssuerReference {
                group: issuer
                    .group
                    .clone()
                    .unwrap_or_else(|| "cert-manager.io".into()),
                kind: issuer
                    .kind
                    .clone()
                    .unwrap_or_else(|| "ClusterIssuer".into()),
                name: issuer.name.clone(),
            },
            private_key: PrivateKey {
                rotation_policy: "Always".into(),
            },
        };
        let name = plan.identity.name.clone();
        vec![Manifest::of_portal(
            &KIND,
            plan,
            name,
            &json!({"spec": spec}),
        )]
    }

    fn health(&self, live: &Live) -> Health {
        Health::Certificate {
            not_after: live.status.not_after.clone(),
            conditions: live.status.conditions.clone(),
        }
    }
}
