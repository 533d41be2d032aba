//! What tests of status messages share.

use serde_json::{Value, json};

use super::space::{Space, condition};

/// A portal of one pod whose image says how it behaves.
pub fn behaving(name: &str, tag: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"profile": "Ephemeral", "image": format!("registry.local/app:{tag}")},
    })
}

/// Demands that a message says all of this.
pub fn demand(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

/// Waits for the reason, demands the words, and that `Stalled` or `Reconciling` says the same.
pub async fn told(space: &Space, name: &str, reason: &str, stalled: bool, words: &[&str]) {
    let message = space.wait_unready(name, reason).await;
    demand(&message, words);
    let portal = space.portal(name).await;
    let (there, absent) = if stalled {
        ("Stalled", "Reconciling")
    } else {
        ("Reconciling", "Stalled")
    };
    let shown = condition(&portal, there);
    assert_eq!(shown["status"], "True", "{there} of {portal:#}");
    assert_eq!(shown["reason"], reason);
    assert!(
        condition(&portal, absent).is_null(),
        "{absent} of {portal:#}"
    );
}
