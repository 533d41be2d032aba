//! One Service a component: port 80, named `http`, in front of the component's port.

use k8s_openapi::{
    api::core::v1::{ClientIPConfig, ServicePort, ServiceSpec, SessionAffinityConfig},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;

use super::{Child, Kind, Manifest};
use crate::{api::spec::Affinity, plan::Plan};

/// Port of every Service.
pub(super) const PORT: u16 = 80;
/// Name of the port of every Service and container.
pub(super) const PORT_NAME: &str = "http";
/// How long a client address stays on one pod: the default of Kubernetes, said explicitly.
const AFFINITY_SECONDS: i32 = 10_800;

pub(super) struct ServiceChild;

static KIND: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    wave: 1,
    optional: false,
    pruned: true,
};

impl Child for ServiceChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        plan.components
            .iter()
            .map(|component| {
                let sticky = component.web_socket == Some(Affinity::ClientIP);
                let spec = ServiceSpec {
                    selector: Some(plan.identity.selector(Some(&component.name))),
                    ports: Some(vec![ServicePort {
                        name: Some(PORT_NAME.into()),
                        port: i32::from(PORT),
                        protocol: Some("TCP".into()),
                        target_port: Some(IntOrString::String(PORT_NAME.into())),
                        ..ServicePort::default()
                    }]),
                    session_affinity: Some(if sticky { "ClientIP" } else { "None" }.into()),
                    session_affinity_config: sticky.then_some(SessionAffinityConfig {
                        client_ip: Some(ClientIPConfig {
                            timeout_seconds: Some(AFFINITY_SECONDS),
                        }),
                    }),
                    ..ServiceSpec::default()
                };
                Manifest::of_component(&KIND, plan, component, &json!({"spec": spec}))
            })
            .collect()
    }
}
