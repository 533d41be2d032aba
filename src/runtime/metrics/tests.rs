use super::*;
use crate::runtime::term;

fn metrics() -> Metrics {
    Metrics::new("1.2.3", term::channel().1)
}

fn policy(policy: &'static str, verdict: Verdict, since: Option<Timestamp>) -> PolicySample {
    PolicySample {
        policy,
        verdict,
        since,
    }
}

/// The lines of the page that begin with `name`, without the prefix common to all.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let page = metrics.encode();
    let ours = page
        .lines()
        .filter_map(|line| line.strip_prefix("portal_operator_"));
    ours.filter(|line| line.starts_with(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn counters_carry_their_labels() {
    let metrics = metrics();
    metrics.reconciled(ReconcileResult::Success, Duration::from_millis(3));
    metrics.action("Deployment", ActionVerb::Apply, ActionResult::Error);
    metrics.request(RequestVerb::Patch, "deployments", RequestCode::Status(409));
    metrics.set_queue_depth(7);
    assert_eq!(
        lines(&metrics, "reconciles_total"),
        [r#"reconciles_total{result="success"} 1"#]
    );
    assert_eq!(
        lines(&metrics, "actions_total"),
        [r#"actions_total{kind="Deployment",verb="apply",result="error"} 1"#]
    );
    assert_eq!(
        lines(&metrics, "http_requests_total"),
        [r#"http_requests_total{verb="patch",resource="deployments",code="409"} 1"#]
    );
    assert_eq!(lines(&metrics, "queue_depth"), ["queue_depth 7"]);
    assert_eq!(
        lines(&metrics, "reconcile_duration_seconds_count"),
        ["reconcile_duration_seconds_count 1"]
    );
}

#[test]
fn the_page_ends_as_openmetrics_wants() {
    let page = metrics().encode();
    assert!(page.ends_with("# EOF\n"));
    assert!(
        page.contains(r#"portal_operator_build_info{version="1.2.3"} 1"#),
        "{page}"
    );
}

#[test]
fn one_status_of_a_policy_is_one_and_the_others_are_zero() {
    let metrics = metrics();
    metrics.portal(
        "team",
        "shop",
        true,
        vec![policy(
            "RecoveryPoint",
            Verdict::False,
            Some(Timestamp::MAX),
        )],
    );
    assert_eq!(
        lines(&metrics, "portal_ready"),
        [r#"portal_ready{namespace="team",name="shop"} 1.0"#]
    );
    let labels = r#"namespace="team",name="shop",policy="RecoveryPoint""#;
    assert_eq!(
        lines(&metrics, "policy{"),
        [
            format!(r#"policy{{{labels},status="True"}} 0.0"#),
            format!(r#"policy{{{labels},status="False"}} 1.0"#),
            format!(r#"policy{{{labels},status="Unknown"}} 0.0"#),
        ]
    );
    assert_eq!(
        lines(&metrics, "policy_observed"),
        [format!("policy_observed_seconds{{{labels}}} 0.0")]
    );
    assert_eq!(lines(&metrics, "portals"), ["portals 1.0"]);
}

#[test]
fn a_forgotten_portal_leaves_no_series() {
    let metrics = metrics();
    let before = metrics.encode();
    metrics.portal(
        "team",
        "shop",
        true,
        vec![policy("Replicated", Verdict::True, None)],
    );
    assert_ne!(metrics.encode(), before);
    metrics.forget_portal("team", "shop");
    assert_eq!(metrics.encode(), before);
}

#[test]
fn names_are_escaped() {
    let metrics = metrics();
    metrics.portal("team", "a\"b", false, vec![]);
    assert_eq!(
        lines(&metrics, "portal_ready"),
        [r#"portal_ready{namespace="team",name="a\"b"} 0.0"#]
    );
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_watch_grows_until_it_hears_again() {
    let metrics = metrics();
    metrics.watch_succeeded("Deployment");
    tokio::time::advance(Duration::from_secs(90)).await;
    metrics.watch_succeeded("Service");
    assert_eq!(
        lines(&metrics, "watch_age_seconds"),
        [
            r#"watch_age_seconds{kind="Deployment"} 90.0"#,
            r#"watch_age_seconds{kind="Service"} 0.0"#
        ]
    );
    assert_eq!(
        metrics.silent_watches(Duration::from_secs(90)),
        ["Deployment"]
    );
    metrics.forget_watch("Deployment");
    assert!(metrics.silent_watches(Duration::from_secs(90)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_leader_gauge_follows_the_term() {
    let (leading, term) = term::channel();
    let metrics = Metrics::new("1.2.3", term);
    assert_eq!(lines(&metrics, "leader"), ["leader 0.0"]);
    leading.grant(Instant::now() + Duration::from_secs(5));
    assert_eq!(lines(&metrics, "leader"), ["leader 1.0"]);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(lines(&metrics, "leader"), ["leader 0.0"]);
}
