//! Which network traffic the pods of a component may have.

use serde::Serialize;

use super::{Exposure, Route, profile};
use crate::api::spec::{Client, Component, Destination, NetworkMode, PortalPlatformSpec, Profile};

/// Network rules of a component, besides traffic among the components and to DNS.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Isolation {
    /// Who forwards traffic from outside; `None`: nobody does.
    pub proxies: Option<Proxies>,
    /// Namespaces that may connect.
    pub clients: Vec<Client>,
    /// Where the pods may connect to.
    pub destinations: Vec<Destination>,
}

/// Where the pods run that forward traffic from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Proxies {
    /// In one namespace.
    Namespace(String),
    /// In any: the namespace of an ingress controller cannot be known from its class.
    AnyNamespace,
}

pub(super) fn plan(
    spec: &PortalPlatformSpec,
    profile: Profile,
    exposure: &Exposure,
    component: &Component,
) -> Option<Isolation> {
    let network = spec.network.clone().unwrap_or_default();
    if network.policy.unwrap_or(profile::defaults(profile).network) == NetworkMode::Open {
        return None;
    }
    let exposed = component.path.is_some() && exposure.route != Route::None;
    Some(Isolation {
        proxies: exposed.then(|| {
            exposure
                .controller_namespace
                .clone()
                .map_or(Proxies::AnyNamespace, Proxies::Namespace)
        }),
        clients: network.allowed_clients,
        // Nothing said is nothing allowed, also where the rules of the CRD were not asked.
        destinations: network
            .allowed_destinations
            .into_iter()
            .filter(|d| d.internet == Some(true) || d.cidr.is_some() || d.namespace.is_some())
            .collect(),
    })
}
