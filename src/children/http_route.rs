//! The HTTPRoute of a portal that is exposed by a Gateway.

use serde_json::json;

use super::{
    Child, Kind, Manifest,
    live::{Health, Live},
    service::PORT,
};
use crate::{
    foreign::gateway::{
        BackendRef, HttpRouteSpec, Match, ParentRef, PathMatch, Rule, RuleTimeouts,
        SessionPersistence,
    },
    plan::{Plan, Route, exposure::PathRule},
};

pub(super) struct HttpRouteChild;

static KIND: Kind = Kind {
    group: "gateway.networking.k8s.io",
    version: "v1",
    kind: "HTTPRoute",
    plural: "httproutes",
    wave: 2,
    optional: true,
    pruned: true,
};

impl Child for HttpRouteChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let exposure = &plan.exposure;
        let Route::Gateway(gateway) = &exposure.route else {
            return Vec::new();
        };
        let spec = HttpRouteSpec {
            parent_refs: vec![ParentRef {
                group: "gateway.networking.k8s.io".into(),
                kind: "Gateway".into(),
                name: gateway.name.clone(),
                namespace: gateway.namespace.clone(),
                section_name: gateway.section_name.clone(),
            }],
            hostnames: vec![exposure.host.clone()],
            rules: exposure.paths.iter().map(|path| rule(plan, path)).collect(),
        };
        let name = plan.identity.name.clone();
        vec![
            Manifest::of_portal(&KIND, plan, name, &json!({"spec": spec}))
                .annotated(&exposure.annotations),
        ]
    }

    fn health(&self, live: &Live) -> Health {
        Health::Route {
            parents: live.status.parents.clone(),
        }
    }
}

fn rule(plan: &Plan, path: &PathRule) -> Rule {
    let request = if path.unlimited {
        // A WebSocket is one request that lasts as long as its connection.
        Some("0s".to_owned())
    } else {
        plan.exposure.request_timeout.clone()
    };
    Rule {
        matches: vec![Match {
            path: PathMatch {
                type_: "PathPrefix".into(),
                value: path.path.clone(),
            },
        }],
        backend_refs: vec![BackendRef {
            group: String::new(),
            kind: "Service".into(),
            name: path.service.clone(),
            port: PORT,
            weight: 1,
        }],
        timeouts: request.map(|request| RuleTimeouts { request }),
        session_persistence: (path.cookie && plan.exposure.session_persistence).then(|| {
            SessionPersistence {
                type_: "Cookie".into(),
                session_name: path.service.clone(),
            }
        }),
    }
}
