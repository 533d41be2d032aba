//! An edit of the spec changes what it says and nothing else, and taking it back leaves no trace: A → B → A equals A.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    Operator, Space, condition,
    shape::{difference, shapes},
};

/// A portal that says something in every place that an edit can take back.
fn rich() -> Value {
    serde_yaml_ng::from_str(include_str!("removal/rich.yaml")).unwrap()
}

/// How long a busy machine may take for what is done at once otherwise.
const BUSY: Duration = Duration::from_secs(20);

/// What an edit sets in the spec, and which objects come and go with it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    #[serde(rename = "edit")]
    name: String,
    /// Place and value; null takes away.
    set: BTreeMap<String, Value>,
    /// `+Kind name` or `-Kind name`.
    #[serde(default)]
    objects: BTreeSet<String>,
}

fn set(spec: &mut Value, place: &str, value: &Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let mut at = spec;
    for part in parent.split('/').skip(1) {
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[part],
        };
    }
    match key.parse::<usize>() {
        Ok(index) if value.is_null() => {
            at.as_array_mut().unwrap().remove(index);
        }
        Ok(index) => at.as_array_mut().unwrap().insert(index, value.clone()),
        Err(_) if value.is_null() => {
            at.as_object_mut().unwrap().remove(key);
        }
        Err(_) => at[key] = value.clone(),
    }
}

/// Waits until status is about this generation. What was refused on the way is a fault of the test or of the operator.
async fn is_at(space: &Space, operator: &Operator, portal: &Value) {
    let generation = &portal["metadata"]["generation"];
    let what = "status is about the latest generation";
    space
        .wait_portal("portal", what, |portal| {
            portal["status"]["observedGeneration"] == *generation
        })
        .await;
    let refused: Vec<_> = operator
        .child_writes()
        .into_iter()
        .filter(|write| matches!(write.status, Some(400 | 403..=408 | 422)))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

fn names(shapes: &[(String, Value)]) -> BTreeSet<String> {
    shapes.iter().map(|(name, _)| name.clone()).collect()
}

/// How the children differ, object by object and field by field.
fn trace(before: &[(String, Value)], after: &[(String, Value)]) -> Vec<String> {
    let all: BTreeSet<_> = names(before).union(&names(after)).cloned().collect();
    let find = |shapes: &[(String, Value)], name: &str| {
        let found = shapes.iter().find(|(other, _)| other == name);
        found.map_or(Value::Null, |(_, shape)| shape.clone())
    };
    all.iter()
        .flat_map(|name| {
            difference(&find(before, name), &find(after, name))
                .into_iter()
                .map(move |found| format!("{name}{found}"))
        })
        .collect()
}

/// Makes each edit and takes it back.
async fn come_and_go(prefix: &str, edits: &str) {
    let edits: Vec<Edit> = serde_yaml_ng::from_str(edits).unwrap();
    let (space, operator) = Space::with_operator(prefix).await;
    let portal = space.apply_portal_value(rich()).await;
    is_at(&space, &operator, &portal).await;
    operator.settle().await;
    let before = shapes(&space).await;
    for Edit {
        name,
        set: places,
        objects: expected,
    } in edits
    {
        let mut changed = rich();
        for (place, value) in &places {
            set(&mut changed["spec"], place, value);
        }
        let portal = space.apply_portal_value(changed).await;
        is_at(&space, &operator, &portal).await;
        let what = format!("{name}: changes something, and the objects {expected:?}");
        space
            .wait_for(BUSY, &what, || async {
                let within = shapes(&space).await;
                let (was, is) = (names(&before), names(&within));
                let came = is.difference(&was).map(|name| format!("+{name}"));
                let went = was.difference(&is).map(|name| format!("-{name}"));
                let moved: BTreeSet<String> = came.chain(went).collect();
                (within != before && moved == expected).then_some(())
            })
            .await;

        let portal = space.apply_portal_value(rich()).await;
        is_at(&space, &operator, &portal).await;
        let begin = Instant::now();
        loop {
            let after = shapes(&space).await;
            if after == before {
                break;
            }
            // A request that a busy server did not answer in time is tried again.
            assert!(
                begin.elapsed() < BUSY,
                "{name} leaves a trace: {:#?}",
                trace(&before, &after)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_a_component_come_and_go_without_a_trace() {
    come_and_go("removal-app", include_str!("removal/component.yaml")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_scaling_and_placement_come_and_go_without_a_trace() {
    come_and_go("removal-scaling", include_str!("removal/scaling.yaml")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_the_surroundings_come_and_go_without_a_trace() {
    come_and_go("removal-rest", include_str!("removal/surroundings.yaml")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_that_concern_the_status_only_write_no_child() {
    let (space, operator) = Space::with_operator("removal-status").await;
    let portal = space.apply_portal_value(rich()).await;
    is_at(&space, &operator, &portal).await;
    operator.settle().await;
    let written = operator.child_writes().len();
    let edits = [
        ("/components/1/critical", json!(true)),
        (
            "/policies",
            json!([{"name": "Replicated", "waiver": {"reason": "migration", "until": "2099-01-01T00:00:00Z"}}]),
        ),
        ("/suspend", json!(true)),
    ];
    for (place, value) in edits {
        let mut changed = rich();
        set(&mut changed["spec"], place, &value);
        let portal = space.apply_portal_value(changed).await;
        is_at(&space, &operator, &portal).await;
    }
    assert_eq!(operator.child_writes().len(), written);
    let portal = space.portal("portal").await;
    assert!(!condition(&portal, "Ready").is_null());
}
