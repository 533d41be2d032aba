//! From plan, world and outcomes to status: conditions, sentences, policies, and when to look again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod conditions;
mod database;
mod exposure;
#[path = "../support/offline.rs"]
mod offline;
mod pods;
mod policies;
mod publishing;
mod recorded;
mod times;
#[path = "../support/world.rs"]
mod world;

use k8s_openapi::jiff::Timestamp;
use portal_operator::{
    api::{
        PortalPlatform,
        status::{
            Condition, ConditionType, PolicyName, PolicyStatus, PortalPlatformStatus, Verdict,
        },
    },
    assess::{Assessed, assess},
    observe::World,
    outcome::Outcome,
    plan::Plan,
};

/// A portal, its plan, and a world to be spoilt.
struct Case {
    portal: PortalPlatform,
    plan: Plan,
    world: World,
    outcomes: Vec<Outcome>,
}

impl Case {
    /// A portal that serves.
    fn serving(spec: &str) -> Self {
        let portal = offline::portal(spec);
        let plan = offline::started(&portal).unwrap();
        let world = world::serving(&plan);
        Self {
            portal,
            plan,
            world,
            outcomes: Vec::new(),
        }
    }

    fn assess_at(&self, now: &str) -> Assessed {
        assess(
            &self.portal,
            &self.plan,
            &self.world,
            &self.outcomes,
            "digest".into(),
            now.parse::<Timestamp>().unwrap(),
        )
    }

    fn assess(&self) -> PortalPlatformStatus {
        self.assess_at("2026-11-21T12:00:00Z").status
    }

    fn condition(&self, type_: ConditionType) -> Option<Condition> {
        find(&self.assess(), type_)
    }

    fn ready(&self) -> Condition {
        self.condition(ConditionType::Ready).unwrap()
    }

    fn policy(&self, name: PolicyName) -> PolicyStatus {
        policy_of(&self.assess(), name)
    }

    /// Asserts a policy's verdict and reason, and that a verdict other than True comes with the next step.
    #[track_caller]
    fn assert_policy(&self, name: PolicyName, status: Verdict, reason: &str) -> PolicyStatus {
        let policy = self.policy(name);
        assert_eq!(
            (policy.status, policy.reason.as_str()),
            (status, reason),
            "{policy:?}"
        );
        assert_eq!(
            policy.message.is_none(),
            status == Verdict::True,
            "{policy:?}"
        );
        assert!(!policy.objective.is_empty());
        assert!(!policy.evidence.as_ref().unwrap().source.is_empty());
        policy
    }
}

fn find(status: &PortalPlatformStatus, type_: ConditionType) -> Option<Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .cloned()
}

fn policy_of(status: &PortalPlatformStatus, name: PolicyName) -> PolicyStatus {
    status
        .policies
        .iter()
        .find(|policy| policy.name == name)
        .cloned()
        .unwrap()
}
