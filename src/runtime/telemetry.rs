//! Logs: one JSON line per event, or text for people; never a body, header or Secret, whatever the filter says.

use std::io;

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// What is logged when the user says nothing.
pub const DEFAULT_FILTER: &str = "info";

/// Targets whose level is capped, the most specific first; all but our own crate fall under the last.
///
/// kube's client prints answers that it cannot parse, whole, as *warnings*, and statuses, which quote rejected values,
/// at debug. The libraries below it print headers, with the bearer token, at trace.
const CAPS: [(&str, LevelFilter); 4] = [
    (env!("CARGO_CRATE_NAME"), LevelFilter::TRACE),
    ("kube_client::client::tls", LevelFilter::WARN),
    ("kube_client::client", LevelFilter::ERROR),
    ("", LevelFilter::INFO),
];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Plain text, without colour.
    Text,
}

/// The logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("failed to parse log filter {filter:?}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logs are set up already.
    #[error("failed to install the log subscriber")]
    Install(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends the logs of this process to standard error; `filter` as in `info,portal_operator=debug`.
///
/// A span must have no field called `name`: in JSON it would be hidden by the name of the span itself.
///
/// # Errors
/// When the filter does not parse, or on a second call.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    subscriber(format, filter, io::stderr)?
        .try_init()
        .map_err(TelemetryError::Install)
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let wanted = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| TelemetryError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let filter = wanted.and(filter_fn(is_safe));
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

/// Whether an event or span is within the cap of its target.
fn is_safe(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= cap(metadata.target()).into_level().unwrap_or(Level::ERROR)
}

fn cap(target: &str) -> LevelFilter {
    let within = |root: &str| {
        target
            .strip_prefix(root)
            .is_some_and(|rest| root.is_empty() || rest.is_empty() || rest.starts_with("::"))
    };
    CAPS.iter()
        .find(|(root, _)| within(root))
        .map_or(LevelFilter::INFO, |(_, cap)| *cap)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Response;
    use k8s_openapi::api::core::v1::Secret;
    use kube::{
        Api,
        client::{Body, ClientBuilder},
    };
    use tracing::{debug, info, subscriber::with_default, trace, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// What is logged in this format with this filter.
        fn of(format: LogFormat, filter: &str, events: impl FnOnce()) -> String {
            let log = Self::default();
            with_default(subscriber(format, filter, log.clone()).unwrap(), events);
            log.text()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Log {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn each_event_is_one_json_line_with_its_fields_and_span() {
        let log = Log::of(LogFormat::Json, "info", || {
            let _portal = tracing::info_span!("reconcile", portal = "shop").entered();
            info!(kind = "Deployment", "applied\nand more");
        });
        let [line] = log.lines().collect::<Vec<_>>()[..] else {
            panic!("{log}")
        };
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["kind"], "Deployment");
        assert_eq!(event["message"], "applied\nand more");
        assert_eq!(event["span"]["portal"], "shop");
    }

    #[test]
    fn text_has_no_colour_codes() {
        let log = Log::of(LogFormat::Text, "info", || info!("hello"));
        assert!(log.contains("hello") && !log.contains('\u{1b}'), "{log}");
    }

    #[test]
    fn trace_is_open_to_our_own_crate_only() {
        let log = Log::of(LogFormat::Json, "trace", || {
            trace!("ours");
            trace!(target: "hyper::proto::h1", "canary");
            debug!(target: "kube_runtime::watcher", "canary");
            debug!(target: "h2::codec", "canary");
            debug!(target: "rustls::client", "canary");
            debug!(target: "tower::buffer", "canary");
            warn!(target: "kube_client::client", "canary");
        });
        assert!(log.contains("ours") && !log.contains("canary"), "{log}");
    }

    #[test]
    fn a_directive_for_a_capped_target_opens_nothing() {
        let log = Log::of(
            LogFormat::Json,
            "kube_client=trace,kube_client::client=trace",
            || {
                warn!(target: "kube_client::client", "canary");
                warn!(target: "kube_client::client::tls", "stale roots");
            },
        );
        assert!(
            !log.contains("canary") && log.contains("stale roots"),
            "{log}"
        );
    }

    #[test]
    fn a_prefix_of_a_name_is_not_its_parent() {
        assert_eq!(
            cap(concat!(env!("CARGO_CRATE_NAME"), "_other")),
            LevelFilter::INFO
        );
        assert_eq!(cap("kube_client::clients"), LevelFilter::INFO);
    }

    #[test]
    fn a_secret_that_cannot_be_parsed_or_is_refused_is_not_logged() {
        let log = Log::of(LogFormat::Json, "trace", || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            for (status, body) in [
                (200, r#"{"metadata":{"name":7},"data":{"token":"canary"}}"#),
                (
                    422,
                    r#"{"kind":"Status","status":"Failure","code":422,"message":"canary","reason":"Invalid"}"#,
                ),
                (502, "<html>canary</html>"),
            ] {
                let server = tower::service_fn(move |_: http::Request<Body>| async move {
                    let body = Body::from(body.as_bytes().to_vec());
                    let response = Response::builder()
                        .status(status)
                        .header("x-canary", "canary")
                        .body(body);
                    Ok::<_, tower::BoxError>(response.unwrap())
                });
                runtime.block_on(async {
                    let client = ClientBuilder::new(server, "team").build();
                    assert!(
                        Api::<Secret>::default_namespaced(client)
                            .get("token")
                            .await
                            .is_err()
                    );
                });
            }
        });
        assert!(!log.contains("canary"), "{log}");
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        let refused = subscriber(LogFormat::Json, "portal_operator=loud", io::stderr);
        assert!(matches!(refused.err(), Some(TelemetryError::Filter { .. })));
    }
}
