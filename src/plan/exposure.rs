//! How the portal is reached from outside the cluster.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Facts, Identity};
use crate::api::spec::{
    Affinity, Component, ExposureMode, GatewayRef, IssuerRef, PortalPlatformSpec, TlsMode,
};

/// How the portal is reached.
#[derive(Clone, Debug, Serialize)]
pub struct Exposure {
    /// By which API.
    pub route: Route,
    /// Host name; empty if not exposed.
    pub host: String,
    /// Address for people; `None` if not exposed.
    pub url: Option<String>,
    /// Where the certificate comes from.
    pub tls: TlsSource,
    /// Annotations of the Ingress or HTTPRoute.
    pub annotations: BTreeMap<String, String>,
    /// Path prefixes, longest first, so that the order is right for every controller.
    pub paths: Vec<PathRule>,
    /// Longest request at the Gateway.
    pub request_timeout: Option<String>,
    /// Namespace of the proxies; `None`: every namespace.
    pub controller_namespace: Option<String>,
    /// Whether the HTTPRoute of this cluster can keep sessions by cookie.
    #[serde(skip)]
    pub session_persistence: bool,
}

/// By which API the portal is exposed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Route {
    /// Not exposed.
    None,
    /// By an HTTPRoute.
    Gateway(GatewayRef),
    /// By an Ingress.
    Ingress {
        /// Class; `None`: that of the cluster.
        class: Option<String>,
    },
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum TlsSource {
    /// Plain HTTP.
    None,
    /// The listener of the Gateway has its own.
    Gateway,
    /// A Secret that the user keeps.
    Secret(String),
    /// A cert-manager Certificate.
    CertManager(IssuerRef),
}

/// A path prefix and where it leads.
#[derive(Clone, Debug, Serialize)]
pub struct PathRule {
    /// Prefix.
    pub path: String,
    /// Name of the Service.
    pub service: String,
    /// Name of the component.
    pub component: String,
    /// Whether requests may last for ever.
    pub unlimited: bool,
    /// Whether a cookie shall keep clients on one pod.
    pub cookie: bool,
}

pub(super) fn plan(
    spec: &PortalPlatformSpec,
    identity: &Identity,
    components: &[Component],
    facts: &Facts,
) -> Exposure {
    let exposure = spec.exposure.clone().unwrap_or_default();
    let tls = exposure.tls.unwrap_or_default();
    let host = spec.host.clone().unwrap_or_default();
    let mut paths: Vec<PathRule> = components
        .iter()
        .filter_map(|component| {
            let path = component.path.clone()?;
            let socket = component.web_socket.as_ref();
            Some(PathRule {
                path,
                service: identity.object_name(&component.name),
                component: component.name.clone(),
                unlimited: socket.is_some(),
                cookie: socket.is_some_and(|s| s.affinity == Some(Affinity::Cookie)),
            })
        })
        .collect();
    paths.sort_by(|a, b| {
        b.path
            .len()
            .cmp(&a.path.len())
            .then_with(|| a.path.cmp(&b.path))
    });

    let route = match (exposure.mode.unwrap_or_default(), exposure.gateway_ref) {
        (ExposureMode::Auto | ExposureMode::Gateway, Some(gateway)) => Route::Gateway(gateway),
        (ExposureMode::Auto | ExposureMode::Ingress, None) => Route::Ingress {
            class: exposure.ingress_class_name,
        },
        _ => Route::None,
    };
    let route = if host.is_empty() || paths.is_empty() {
        Route::None
    } else {
        route
    };
    let source = match (tls.mode, tls.issuer_ref, tls.secret_ref, &route) {
        (_, _, _, Route::None) | (Some(TlsMode::None), ..) => TlsSource::None,
        (None | Some(TlsMode::CertManager), Some(issuer), _, _) => TlsSource::CertManager(issuer),
        (None | Some(TlsMode::Secret), None, Some(secret), _) => TlsSource::Secret(secret.name),
        (None | Some(TlsMode::Gateway), _, _, Route::Gateway(_)) => TlsSource::Gateway,
        _ => TlsSource::None,
    };
    let scheme = if source == TlsSource::None {
        "http"
    } else {
        "https"
    };
    let controller_namespace = exposure.controller_namespace.or_else(|| match &route {
        Route::Gateway(gateway) => Some(
            gateway
                .namespace
                .clone()
                .unwrap_or_else(|| identity.namespace.clone()),
        ),
        _ => None,
    });
    Exposure {
        url: (route != Route::None).then(|| format!("{scheme}://{host}")),
        host,
        tls: source,
        annotations: exposure.annotations,
        paths,
        request_timeout: exposure
            .timeouts
            .and_then(|timeouts| timeouts.request)
            .map(|request| request.0),
        controller_namespace,
        session_persistence: facts.session_persistence,
        route,
    }
}
