//! The pipeline, for one portal: observe, plan, converge, apply, assess, publish.
// Over 400 lines: the one place where the steps meet, read from top to bottom.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{controller::Action, events::Recorder, reflector::Store},
};

use crate::{
    api::{
        spec::PortalPlatform,
        status::{ConditionType, PortalPlatformStatus, Verdict},
    },
    apply::{self, Writer},
    assess::{self, Assessed},
    children,
    converge::{self, Memory},
    error::Disposition,
    observe::{ApiState, World, resource_version},
    outcome::Outcome,
    plan::{self, Facts, Plan, SpecProblem},
    publish::{self, News},
    runtime::{
        backoff::PortalBackoff,
        index::Index,
        metrics::{Metrics, PolicySample, ReconcileResult},
        queue::PortalKey,
    },
};

/// A portal, or why it cannot be read.
pub type Guarded = DeserializeGuard<PortalPlatform>;

/// What a reconcile needs.
pub struct Context {
    /// Client for everything that writes.
    pub client: Client,
    /// What is known of the cluster.
    pub index: Arc<Index>,
    /// Figures.
    pub metrics: Metrics,
    /// The portals there are.
    pub portals: Store<Guarded>,
    /// Publishes events.
    pub recorder: Recorder,
    /// Delays of portals whose requests fail.
    pub backoff: PortalBackoff,
    /// Namespace in which the operator of CloudNativePG runs.
    pub cloudnative_pg_namespace: String,
    /// Namespace in which this operator runs; empty: not known.
    pub operator_namespace: String,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// What was last done for each portal.
    pub memories: Mutex<HashMap<PortalKey, PortalMemory>>,
}

/// What was last done for a portal.
#[derive(Clone, Debug, Default)]
pub struct PortalMemory {
    /// Which portal: one that was created anew begins anew.
    uid: String,
    /// Its children as they were last applied.
    applied: Memory,
    /// Its status as it was last written, and the version of the portal since.
    published: Option<(u64, PortalPlatformStatus)>,
    /// When that was.
    written_at: Option<Timestamp>,
}

impl Context {
    fn memories(&self) -> MutexGuard<'_, HashMap<PortalKey, PortalMemory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event about a portal is more than the echo of our own status write.
    pub fn is_news(&self, portal: &Guarded) -> bool {
        let key = PortalKey::of(portal.meta());
        let memories = self.memories();
        let Some((_, published)) = memories.get(&key).and_then(|m| m.published.as_ref()) else {
            return true;
        };
        let meta = portal.meta();
        let same_spec = meta.generation == Some(published.observed_generation)
            && meta.deletion_timestamp.is_none()
            && memories.get(&key).map(|m| m.uid.as_str()) == meta.uid.as_deref();
        let same_status = portal
            .0
            .as_ref()
            .is_ok_and(|portal| portal.status.as_ref() == Some(published));
        !(same_spec && same_status)
    }

    /// Whether a portal is there, and not another of its name.
    fn is_there(&self, key: &PortalKey, uid: &str) -> bool {
        let found = self.portals.get(&key.reference());
        found.is_some_and(|portal| portal.uid().as_deref() == Some(uid))
    }

    /// Tells what stays of a portal that is gone.
    pub fn farewell(
        self: &Arc<Self>,
        key: &PortalKey,
        metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    ) {
        let clusters: Vec<String> = self
            .index
            .world(key)
            .children
            .iter()
            .filter(|((kind, _), child)| {
                *kind == "Cluster" && child.owner.is_none() && child.owned != 0
            })
            .map(|((_, name), _)| name.clone())
            .collect();
        let Some(event) = publish::retained(&clusters) else {
            return;
        };
        let reference = publish::portal_reference(metadata);
        let context = self.clone();
        tokio::spawn(async move {
            publish::publish_events(&context.recorder, &reference, vec![event]).await;
        });
    }

    /// Forgets a portal that is gone.
    pub fn forget(&self, key: &PortalKey) {
        self.memories().remove(key);
        self.backoff.forget(&key.namespace, &key.name);
        self.metrics.forget_portal(&key.namespace, &key.name);
    }
}

/// Brings one portal nearer to its spec, and says when to come back if nothing wakes us before.
pub async fn reconcile(portal: Arc<Guarded>, context: Arc<Context>) -> (ReconcileResult, Action) {
    let key = PortalKey::of(portal.meta());
    if portal.meta().deletion_timestamp.is_some() {
        return (ReconcileResult::Success, Action::await_change());
    }
    let mut memory = context.memories().remove(&key).unwrap_or_default();
    let uid = portal.uid().unwrap_or_default();
    if memory.uid != uid {
        memory = PortalMemory {
            uid: uid.clone(),
            ..PortalMemory::default()
        };
    }
    let pass = match &portal.0 {
        Ok(portal) => {
            let portal = with_latest_status(portal, &memory);
            run(&portal, &key, &context, &mut memory).await
        }
        Err(invalid) => unreadable(invalid, &memory, (context.clock)()),
    };
    if !context.is_there(&key, &uid) {
        return (ReconcileResult::Success, Action::await_change());
    }
    let wait = publish(&pass, &key, &context, &mut memory).await;
    context.memories().insert(key, memory);
    (
        result(&pass),
        wait.map_or_else(Action::await_change, Action::requeue),
    )
}

/// How a pass ended, for the figures.
fn result(pass: &Pass) -> ReconcileResult {
    match apply::disposition(&pass.outcomes) {
        Some(Disposition::Retry { .. }) => ReconcileResult::Error,
        Some(Disposition::UserMustAct) => ReconcileResult::Problem,
        None => {
            let ready = pass.assessed.status.conditions.iter().any(|condition| {
                condition.type_ == ConditionType::Ready && condition.status == Verdict::True
            });
            if ready {
                ReconcileResult::Success
            } else {
                ReconcileResult::Waiting
            }
        }
    }
}

/// The result of a pass, before it is published.
struct Pass {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    before: PortalPlatformStatus,
    assessed: Assessed,
    outcomes: Vec<Outcome>,
}

/// The portal with the status that we wrote last, where its watch has not brought it yet.
fn with_latest_status(portal: &PortalPlatform, memory: &PortalMemory) -> PortalPlatform {
    let mut portal = portal.clone();
    if let Some((version, status)) = &memory.published
        && resource_version(&portal.metadata) < *version
    {
        portal.status = Some(status.clone());
    }
    portal
}

async fn run(
    portal: &PortalPlatform,
    key: &PortalKey,
    context: &Context,
    memory: &mut PortalMemory,
) -> Pass {
    let before = portal.status.clone().unwrap_or_default();
    let world = context.index.world(key);
    let (assessed, outcomes) = match resolve(portal, &world, context) {
        Err(problems) => (
            assess::invalid(portal, &problems, (context.clock)()),
            Vec::new(),
        ),
        Ok(plan) => {
            let outcomes = converge(portal, key, &plan, &world, context, memory).await;
            // Our writes are in the index by now.
            let world = if outcomes.is_empty() {
                world
            } else {
                context.index.world(key)
            };
            let applied = converge::applied_digest(&memory.applied);
            let applied = if plan.suspended {
                before.applied.clone().unwrap_or_default()
            } else {
                applied
            };
            let assessed =
                assess::assess(portal, &plan, &world, &outcomes, applied, (context.clock)());
            (assessed, outcomes)
        }
    };
    Pass {
        metadata: portal.metadata.clone(),
        before,
        assessed,
        outcomes,
    }
}

/// The plan for a portal in the world as it is.
fn resolve(
    portal: &PortalPlatform,
    world: &World,
    context: &Context,
) -> Result<Plan, Vec<SpecProblem>> {
    let status = portal.status.clone().unwrap_or_default();
    // Which components have started is asked of a first plan, which names their objects.
    let first = plan::plan(portal, &Facts::default())?;
    plan::plan(
        portal,
        &Facts {
            started: assess::started(&status, &first, world),
            cloudnative_pg_namespace: context.cloudnative_pg_namespace.clone(),
            operator_namespace: context.operator_namespace.clone(),
            barman_plugin: *world.api("ObjectStore") != ApiState::Absent,
            database: first
                .database
                .managed()
                .map(|managed| world.database_facts(managed))
                .unwrap_or_default(),
            session_persistence: world.session_persistence,
            reload: world.reload.clone(),
        },
    )
}

async fn converge(
    portal: &PortalPlatform,
    key: &PortalKey,
    plan: &Plan,
    world: &World,
    context: &Context,
    memory: &mut PortalMemory,
) -> Vec<Outcome> {
    let mut manifests = children::manifests(plan);
    if memory.applied.is_empty() {
        let digest = portal
            .status
            .as_ref()
            .and_then(|status| status.applied.as_deref());
        memory.applied = converge::recall(&manifests, world, &plan.identity.uid, digest);
    }
    let portal_uid = plan.identity.uid.as_str();
    let actions = if plan.suspended {
        manifests.retain(|manifest| converge::changes_when_suspended(manifest, plan));
        converge::converge_some(manifests, world, &memory.applied, portal_uid)
    } else {
        let actions = converge::converge(manifests, world, &memory.applied, portal_uid);
        let wanted: std::collections::BTreeSet<_> =
            actions.iter().map(|action| action.key.clone()).collect();
        memory.applied.retain(|key, _| wanted.contains(key));
        actions
    };
    let writer = Writer {
        client: &context.client,
        index: &context.index,
        metrics: &context.metrics,
        namespace: &plan.identity.namespace,
        portal_name: &plan.identity.name,
        portal_uid,
        portal_is_there: &|| context.is_there(key, portal_uid),
    };
    apply::apply(&writer, actions, &mut memory.applied).await
}

/// The status of a portal that cannot be read, such as one stored under an older CRD.
fn unreadable(
    invalid: &kube::core::error_boundary::InvalidObject,
    memory: &PortalMemory,
    now: Timestamp,
) -> Pass {
    let before = memory
        .published
        .as_ref()
        .map(|(_, status)| status.clone())
        .unwrap_or_default();
    let mut portal = PortalPlatform::new("", crate::api::spec::PortalPlatformSpec::default());
    portal.metadata = invalid.metadata.clone();
    portal.status = Some(before.clone());
    let problem = SpecProblem {
        field: "spec".into(),
        message: format!("cannot be read: {}; correct the field named", invalid.error),
    };
    Pass {
        metadata: invalid.metadata.clone(),
        before,
        assessed: assess::invalid(&portal, &[problem], now),
        outcomes: Vec::new(),
    }
}

/// Writes what is new and says when to come back.
async fn publish(
    pass: &Pass,
    key: &PortalKey,
    context: &Context,
    memory: &mut PortalMemory,
) -> Option<Duration> {
    let status = &pass.assessed.status;
    let now = (context.clock)();
    sample(context, key, &pass.assessed);
    let mut due = pass.assessed.recheck;
    let news = publish::news(&pass.before, status);
    let postponed = (news == News::Progress)
        .then(|| publish::progress_due(memory.written_at, now))
        .flatten();
    let mut failed = None;
    if let Some(postponed) = postponed {
        due = due.into_iter().chain([postponed]).min();
    } else if news != News::None {
        match publish::write(&context.client, &pass.metadata, status).await {
            Ok(version) => {
                memory.published = Some((version, status.clone()));
                memory.written_at = Some(now);
                publish::log_transition(key, &pass.before, status);
                let mut reference = publish::portal_reference(&pass.metadata);
                reference.resource_version = None;
                let events = publish::events(&pass.before, status);
                publish::publish_events(&context.recorder, &reference, events).await;
            }
            Err(failure) => {
                tracing::warn!(
                    reason = failure.reason,
                    cause = failure.message,
                    "status not written"
                );
                failed = Some(failure.disposition);
            }
        }
    }
    let wake = due.map(|due| {
        let wait = due
            .duration_since(now)
            .max(k8s_openapi::jiff::SignedDuration::ZERO);
        // A little late is sure to be past the moment; timers far ahead are asked again in a day.
        Duration::try_from(wait)
            .unwrap_or_default()
            .min(Duration::from_hours(24))
            + Duration::from_millis(20)
    });
    let retry = apply::disposition(&pass.outcomes)
        .or(failed)
        .map(|disposition| {
            let asked = match disposition {
                // Nothing tells when a person has mended it, so it is looked at again at the same pace.
                Disposition::UserMustAct => None,
                Disposition::Retry { after } => after,
            };
            let pause = context.backoff.next(&key.namespace, &key.name);
            pause.max(asked.unwrap_or_default())
        });
    if retry.is_none() {
        context.backoff.forget(&key.namespace, &key.name);
    }
    wake.into_iter().chain(retry).min()
}

fn sample(context: &Context, key: &PortalKey, assessed: &Assessed) {
    let status = &assessed.status;
    let ready = status.conditions.iter().any(|condition| {
        condition.type_ == ConditionType::Ready && condition.status == Verdict::True
    });
    let policies = status
        .policies
        .iter()
        .map(|policy| PolicySample {
            policy: policy.name.as_str(),
            verdict: policy.status,
            since: assessed
                .since
                .iter()
                .find(|(name, _)| *name == policy.name)
                .map(|(_, since)| *since),
        })
        .collect();
    context
        .metrics
        .portal(&key.namespace, &key.name, ready, policies);
}
