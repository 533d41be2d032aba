//! Which network traffic the pods of a component may have.

use serde::Serialize;

use super::{Database, Exposure, Route, profile};
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
    /// The database that the pods connect to.
    pub database: Option<DatabasePeer>,
}

/// Where a database is, as network rules see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum DatabasePeer {
    /// Pods of the pooler of this name.
    Pooler(String),
    /// Pods of the Cluster of this name.
    Cluster(String),
    /// Elsewhere, at this port; with an address, only there. Rules cannot name hosts.
    External {
        /// Range of one address.
        cidr: Option<String>,
        /// Port.
        port: u16,
    },
}

impl DatabasePeer {
    fn of(database: &Database) -> Option<Self> {
        match database {
            Database::None => None,
            Database::Managed(managed) => Some(managed.pooler.as_ref().map_or_else(
                || Self::Cluster(managed.name.clone()),
                |pooler| Self::Pooler(pooler.name.clone()),
            )),
            Database::External(external) => {
                let connection = &external.connection;
                let cidr = connection
                    .host
                    .parse::<std::net::IpAddr>()
                    .ok()
                    .map(|address| {
                        let bits = if address.is_ipv4() { 32 } else { 128 };
                        format!("{address}/{bits}")
                    });
                Some(Self::External {
                    cidr,
                    port: connection.port,
                })
            }
        }
    }
}

/// Where the pods run that forward traffic from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Proxies {
    /// In one namespace.
    Namespace(String),
    /// In any: the namespace of an ingress controller cannot be known from its class.
    AnyNamespace,
}

/// Whether traffic is denied unless it is named.
pub(super) fn restricted(spec: &PortalPlatformSpec, profile: Profile) -> bool {
    let policy = spec.network.as_ref().and_then(|network| network.policy);
    policy.unwrap_or(profile::defaults(profile).network) == NetworkMode::Restricted
}

pub(super) fn plan(
    spec: &PortalPlatformSpec,
    profile: Profile,
    exposure: &Exposure,
    component: &Component,
    database: Option<&Database>,
) -> Option<Isolation> {
    if !restricted(spec, profile) {
        return None;
    }
    let network = spec.network.clone().unwrap_or_default();
    let exposed = component.path.is_some() && exposure.route != Route::None;
    Some(Isolation {
        proxies: exposed.then(|| {
            exposure
                .controller_namespace
                .clone()
                .map_or(Proxies::AnyNamespace, Proxies::Namespace)
        }),
        database: database.and_then(DatabasePeer::of),
        clients: network.allowed_clients,
        // Nothing said is nothing allowed, also where the rules of the CRD were not asked.
        destinations: network
            .allowed_destinations
            .into_iter()
            .filter(|d| d.internet == Some(true) || d.cidr.is_some() || d.namespace.is_some())
            .collect(),
    })
}
