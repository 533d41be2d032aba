//! How the exposure resolves, and what comes of it.

use portal_operator::{
    api::spec::{GatewayRef, IssuerRef},
    plan::{Route, TlsSource},
};
use serde_json::{Value, json};

use crate::offline::{find, object, plan_of};

fn gateway() -> Route {
    Route::Gateway(GatewayRef {
        name: "g".into(),
        namespace: None,
        section_name: None,
    })
}

fn ingress() -> Route {
    Route::Ingress { class: None }
}

fn issuer() -> TlsSource {
    TlsSource::CertManager(IssuerRef {
        kind: None,
        group: None,
        name: "i".into(),
    })
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn mode_gateway_host_and_tls_resolve_to_route_source_and_address() {
    let http = Some("http://h.test");
    let https = Some("https://h.test");
    let secret = TlsSource::Secret("s".into());
    for (spec, route, tls, url) in [
        ("", Route::None, TlsSource::None, None),
        ("host: h.test", ingress(), TlsSource::None, http),
        (
            "host: h.test, exposure: {mode: None}",
            Route::None,
            TlsSource::None,
            None,
        ),
        (
            "host: h.test, exposure: {mode: Ingress}",
            ingress(),
            TlsSource::None,
            http,
        ),
        (
            "host: h.test, exposure: {mode: Auto}",
            ingress(),
            TlsSource::None,
            http,
        ),
        (
            "host: h.test, exposure: {gatewayRef: {name: g}}",
            gateway(),
            TlsSource::Gateway,
            https,
        ),
        (
            "host: h.test, exposure: {mode: Gateway, gatewayRef: {name: g}}",
            gateway(),
            TlsSource::Gateway,
            https,
        ),
        (
            "host: h.test, exposure: {gatewayRef: {name: g}, tls: {mode: Gateway}}",
            gateway(),
            TlsSource::Gateway,
            https,
        ),
        (
            "host: h.test, exposure: {gatewayRef: {name: g}, tls: {mode: None}}",
            gateway(),
            TlsSource::None,
            http,
        ),
        (
            "host: h.test, exposure: {gatewayRef: {name: g}, tls: {issuerRef: {name: i}}}",
            gateway(),
            issuer(),
            https,
        ),
        (
            "host: h.test, exposure: {tls: {issuerRef: {name: i}}}",
            ingress(),
            issuer(),
            https,
        ),
        (
            "host: h.test, exposure: {tls: {mode: CertManager, issuerRef: {name: i}}}",
            ingress(),
            issuer(),
            https,
        ),
        (
            "host: h.test, exposure: {tls: {secretRef: {name: s}}}",
            ingress(),
            secret.clone(),
            https,
        ),
        (
            "host: h.test, exposure: {tls: {mode: Secret, secretRef: {name: s}}}",
            ingress(),
            secret,
            https,
        ),
        (
            "host: h.test, exposure: {tls: {mode: None}}",
            ingress(),
            TlsSource::None,
            http,
        ),
        (
            "host: h.test, exposure: {mode: None, tls: {issuerRef: {name: i}}}",
            Route::None,
            TlsSource::None,
            None,
        ),
        (
            "exposure: {gatewayRef: {name: g}}",
            Route::None,
            TlsSource::None,
            None,
        ),
    ] {
        let exposure = plan_of(&format!("{{image: a, {spec}}}")).exposure;
        assert_eq!(exposure.route, route, "{spec}");
        assert_eq!(exposure.tls, tls, "{spec}");
        assert_eq!(exposure.url.as_deref(), url, "{spec}");
    }
}

#[test]
fn a_route_a_certificate_and_an_ingress_exist_where_they_are_wanted() {
    for (exposure, kinds) in [
        ("{}", "Ingress"),
        ("{mode: None}", ""),
        ("{gatewayRef: {name: g}}", "HTTPRoute"),
        ("{tls: {issuerRef: {name: i}}}", "Certificate Ingress"),
        (
            "{gatewayRef: {name: g}, tls: {issuerRef: {name: i}}}",
            "Certificate HTTPRoute",
        ),
        ("{mode: None, tls: {issuerRef: {name: i}}}", ""),
    ] {
        let plan = plan_of(&format!("{{image: a, host: h.test, exposure: {exposure}}}"));
        let found: Vec<_> = ["Certificate", "HTTPRoute", "Ingress"]
            .into_iter()
            .filter(|kind| find(&plan, kind, "harbor").is_some())
            .collect();
        assert_eq!(found.join(" "), kinds, "{exposure}");
    }
}

#[test]
fn a_component_without_path_is_not_exposed() {
    let plan = plan_of(
        "{host: h.test, components: [{name: in, image: a}, {name: out, image: a, path: /o}]}",
    );
    let ingress = object(&plan, "Ingress", "harbor");
    let paths = ingress["spec"]["rules"][0]["http"]["paths"]
        .as_array()
        .unwrap();
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0]["backend"]["service"]["name"], "harbor-out");
    let closed = plan_of("{host: h.test, components: [{name: in, image: a}]}");
    assert_eq!(closed.exposure.route, Route::None);
    assert_eq!(closed.exposure.url, None);
}

#[test]
fn longer_paths_come_first() {
    let plan = plan_of(
        "{host: h.test, components: [{name: a, image: a, path: /}, {name: b, image: a, path: /b/c}, {name: c, image: a, path: /b}, {name: d, image: a, path: /a}]}",
    );
    let paths: Vec<_> = plan
        .exposure
        .paths
        .iter()
        .map(|rule| rule.path.as_str())
        .collect();
    assert_eq!(paths, ["/b/c", "/a", "/b", "/"]);
}

#[test]
fn the_certificate_is_for_the_host_and_its_secret_is_the_one_that_the_ingress_uses() {
    let plan = plan_of("{image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}");
    assert_eq!(
        object(&plan, "Certificate", "harbor")["spec"],
        json!({
            "dnsNames": ["h.test"],
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "i"},
            "privateKey": {"rotationPolicy": "Always"},
            "secretName": "harbor-tls",
        })
    );
    let tls = &object(&plan, "Ingress", "harbor")["spec"]["tls"];
    assert_eq!(
        *tls,
        json!([{"hosts": ["h.test"], "secretName": "harbor-tls"}])
    );
}

/// Timeouts and cookies of the rules of an `HTTPRoute`.
fn rules(spec: &str, session_persistence: bool) -> Vec<(Value, Value)> {
    let portal = crate::offline::portal(spec);
    let facts = portal_operator::plan::Facts {
        session_persistence,
        ..Default::default()
    };
    let plan = portal_operator::plan::plan(&portal, &facts).unwrap();
    let route = object(&plan, "HTTPRoute", "harbor");
    route["spec"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["timeouts"].clone(), rule["sessionPersistence"].clone()))
        .collect()
}

#[test]
fn web_sockets_last_and_keep_their_pod_by_cookie_where_the_cluster_can() {
    let spec = "{host: h.test, exposure: {gatewayRef: {name: g}, timeouts: {request: 9s}}, components: [{name: a, image: a, path: /a, webSocket: {affinity: Cookie}}, {name: b, image: a, path: /}]}";
    let never = json!({"request": "0s"});
    let limit = json!({"request": "9s"});
    let cookie = json!({"type": "Cookie", "sessionName": "harbor-a"});
    assert_eq!(
        rules(spec, true),
        [(never.clone(), cookie), (limit.clone(), Value::Null)]
    );
    // The standard channel would drop the field.
    assert_eq!(
        rules(spec, false),
        [(never, Value::Null), (limit, Value::Null)]
    );
}

#[test]
fn a_client_address_keeps_its_pod_at_the_service() {
    for (socket, affinity) in [
        ("", "None"),
        (", webSocket: {}", "None"),
        (", webSocket: {affinity: ClientIP}", "ClientIP"),
    ] {
        let plan = plan_of(&format!("{{components: [{{name: a, image: a{socket}}}]}}"));
        let service = object(&plan, "Service", "harbor-a");
        assert_eq!(service["spec"]["sessionAffinity"], affinity, "{socket}");
    }
}

#[test]
fn annotations_are_passed_on_to_the_route_and_nowhere_else() {
    let plan = plan_of("{image: a, host: h.test, exposure: {annotations: {a.test/b: c}}}");
    for manifest in portal_operator::children::manifests(&plan) {
        let annotations = &manifest.body["metadata"]["annotations"];
        if manifest.kind.kind == "Ingress" {
            assert_eq!(*annotations, json!({"a.test/b": "c"}));
        } else {
            assert_eq!(*annotations, Value::Null, "{}", manifest.kind.kind);
        }
    }
}
