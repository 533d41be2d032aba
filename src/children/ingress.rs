//! The Ingress of a portal that is exposed without a Gateway.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    live::{Health, Live},
    service::PORT_NAME,
};
use crate::plan::{Plan, Route, TlsSource};

pub(super) struct IngressChild;

static KIND: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "Ingress",
    plural: "ingresses",
    wave: 2,
    optional: false,
    pruned: true,
};

impl Child for IngressChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let exposure = &plan.exposure;
        let Route::Ingress { class } = &exposure.route else {
            return Vec::new();
        };
        let secret = match &exposure.tls {
            TlsSource::CertManager(_) => Some(plan.identity.tls_secret_name()),
            TlsSource::Secret(name) => Some(name.clone()),
            TlsSource::Gateway | TlsSource::None => None,
        };
        let paths = exposure
            .paths
            .iter()
            .map(|rule| HTTPIngressPath {
                path: Some(rule.path.clone()),
                path_type: "Prefix".into(),
                backend: IngressBackend {
                    service: Some(IngressServiceBackend {
                        name: rule.service.clone(),
                        port: Some(ServiceBackendPort {
                            name: Some(PORT_NAME.into()),
                            number: None,
                        }),
                    }),
                    resource: None,
                },
            })
            .collect();
        let spec = IngressSpec {
            ingress_class_name: class.clone(),
            rules: Some(vec![IngressRule {
                host: Some(exposure.host.clone()),
                http: Some(HTTPIngressRuleValue { paths }),
            }]),
            tls: secret.map(|secret| {
                vec![IngressTLS {
                    hosts: Some(vec![exposure.host.clone()]),
                    secret_name: Some(secret),
                }]
            }),
            ..IngressSpec::default()
        };
        let name = plan.identity.name.clone();
        vec![
            Manifest::of_portal(&KIND, plan, name, &json!({"spec": spec}))
                .annotated(&exposure.annotations),
        ]
    }

    fn health(&self, live: &Live) -> Health {
        Health::Ingress {
            addresses: live
                .status
                .load_balancer
                .as_ref()
                .map_or(0, |balancer| balancer.ingress.len()),
        }
    }
}
