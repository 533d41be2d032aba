//! Certificate of cert-manager, as of v1.21.
#![allow(missing_docs, reason = "the names are those of cert-manager")]

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    pub secret_name: String,
    pub dns_names: Vec<String>,
    pub issuer_ref: IssuerReference,
    pub private_key: PrivateKey,
}

#[derive(Serialize)]
pub struct IssuerReference {
    pub group: String,
    pub kind: String,
    pub name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateKey {
    pub rotation_policy: String,
}
