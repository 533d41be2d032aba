//! `TransportSecure`: clients reach the portal by TLS, with a certificate that is valid for another two weeks.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Finding, Subject};
use crate::{
    api::{database::ExternalTlsMode, status::Verdict},
    children::live::{Health, LiveCondition},
    plan::{Database, Route, TlsSource},
};

/// Time that is left to mend a renewal that fails.
const MARGIN: SignedDuration = SignedDuration::from_hours(14 * 24);

const OBJECTIVE: &str = "TLS, certificate valid for more than 14 d; database verified";

pub(super) fn judge(subject: &Subject) -> Finding {
    if let Database::External(external) = &subject.plan.database
        && external.tls != ExternalTlsMode::VerifyFull
    {
        return Finding::new(
            Verdict::False,
            "DatabaseNotVerified",
            OBJECTIVE,
            "spec.database.external.tls.mode",
        )
        .observed(format!("{:?}", external.tls))
        .message(format!(
            "anybody who answers as {} is taken for the database; set database.external.tls.mode: VerifyFull",
            external.connection.host
        ));
    }
    exposure(subject)
}

fn exposure(subject: &Subject) -> Finding {
    let exposure = &subject.plan.exposure;
    let name = &subject.plan.identity.name;
    if exposure.route == Route::None {
        return Finding::new(
            Verdict::True,
            "NotExposed",
            OBJECTIVE,
            "spec.exposure, spec.host",
        )
        .observed("not reachable from outside the cluster");
    }
    match &exposure.tls {
        TlsSource::None => Finding::new(
            Verdict::False,
            "PlainHTTP",
            OBJECTIVE,
            "spec.exposure.tls",
        )
        .message("the portal is exposed without TLS; set exposure.tls.issuerRef to have a certificate made"),
        TlsSource::Gateway => Finding::new(
            Verdict::Unknown,
            "CertificateAtGateway",
            OBJECTIVE,
            "spec.exposure.tls",
        )
        .message("the Gateway's listener has its own certificate, which the operator does not read; use tls.mode CertManager to have it watched, or waive the policy"),
        TlsSource::Secret(secret) => Finding::new(
            Verdict::Unknown,
            "CertificateInSecret",
            OBJECTIVE,
            "spec.exposure.tls",
        )
        .message(format!(
            "the certificate is in Secret {secret}, and the operator reads no Secrets; use tls.mode CertManager to have it watched, or waive the policy"
        )),
        TlsSource::CertManager(_) => certificate(subject, name),
    }
}

fn certificate(subject: &Subject, name: &str) -> Finding {
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            OBJECTIVE,
            format!("Certificate {name}: conditions Ready, status.notAfter"),
        )
    };
    let Some(Health::Certificate {
        not_after,
        conditions,
    }) = subject
        .world
        .child("Certificate", name)
        .map(|observation| &observation.health)
    else {
        return finding(Verdict::False, "CertificateMissing")
            .message(format!("Certificate {name} is not there"));
    };
    let ready = LiveCondition::find(conditions, "Ready");
    let Some(ready) = ready else {
        return finding(Verdict::Unknown, "NotObserved").message(format!(
            "Certificate {name}: cert-manager has not answered yet"
        ));
    };
    let Some(expiry) = not_after
        .as_ref()
        .and_then(|time| time.parse::<Timestamp>().ok())
    else {
        return finding(Verdict::False, "CertificateNotReady").message(format!(
            "Certificate {name} was not issued: {}: {}",
            ready.reason, ready.message
        ));
    };
    if expiry - MARGIN <= subject.now {
        return finding(Verdict::False, "CertificateExpiring")
            .observed(format!("valid until {expiry}"))
            .message(format!(
                "Certificate {name} ends at {expiry} and was not renewed; look at kubectl describe certificate {name}"
            ));
    }
    if ready.status != "True" {
        return finding(Verdict::False, "CertificateNotReady")
            .observed(format!("valid until {expiry}"))
            .message(format!(
                "Certificate {name} is not ready: {}: {}",
                ready.reason, ready.message
            ));
    }
    let mut held =
        finding(Verdict::True, "CertificateValid").observed(format!("valid until {expiry}"));
    held.recheck = Some(expiry - MARGIN);
    held
}
