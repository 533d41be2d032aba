//! HTTPRoute of Gateway API, as of v1.6. Every list is atomic under server-side apply.
#![allow(missing_docs, reason = "the names are those of Gateway API")]

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteSpec {
    pub parent_refs: Vec<ParentRef>,
    pub hostnames: Vec<String>,
    pub rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    pub group: String,
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub matches: Vec<Match>,
    pub backend_refs: Vec<BackendRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RuleTimeouts>,
    /// Experimental channel only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

#[derive(Serialize)]
pub struct Match {
    pub path: PathMatch,
}

#[derive(Serialize)]
pub struct PathMatch {
    #[serde(rename = "type")]
    pub type_: String,
    pub value: String,
}

#[derive(Serialize)]
pub struct BackendRef {
    pub group: String,
    pub kind: String,
    pub name: String,
    pub port: u16,
    pub weight: i32,
}

#[derive(Serialize)]
pub struct RuleTimeouts {
    pub request: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPersistence {
    #[serde(rename = "type")]
    pub type_: String,
    pub session_name: String,
}
