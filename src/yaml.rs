//! YAML as Kubernetes reads it: version 1.1, where a bare `on`, `off`, `yes`, `no`, `y` or `n` is a boolean.

use serde::Serialize;

/// A value as YAML text in which such words are quoted, as keys and as values.
///
/// # Errors
/// If the value has no form in YAML, such as a map with keys that are maps.
pub fn to_string(value: &impl Serialize) -> Result<String, serde_yaml_ng::Error> {
    let text = serde_yaml_ng::to_string(value)?;
    let mut safe = String::with_capacity(text.len());
    // Indentation of the key whose block text follows; block text is left as it is.
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|key| line.trim().is_empty() || indent > key) {
            safe.push_str(line);
        } else {
            block = begins_block(line).then_some(indent);
            safe.push_str(&quoted(line));
        }
        safe.push('\n');
    }
    Ok(safe)
}

fn begins_block(line: &str) -> bool {
    let last = line.rsplit(' ').next().unwrap_or("");
    last.starts_with(['|', '>'])
        && last[1..]
            .chars()
            .all(|c| matches!(c, '-' | '+' | '0'..='9'))
}

fn quoted(line: &str) -> String {
    let content = line.trim_start_matches(' ');
    let (indent, content) = line.split_at(line.len() - content.len());
    let items = content.len() - content.trim_start_matches("- ").len();
    let (dashes, content) = content.split_at(items);
    let content = match content.split_once(": ") {
        Some((key, value)) => format!("{}: {}", word(key), word(value)),
        None => match content.strip_suffix(':') {
            Some(key) => format!("{}:", word(key)),
            None => word(content),
        },
    };
    format!("{indent}{dashes}{content}")
}

fn word(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "y" | "yes" | "n" | "no" | "on" | "off") {
        format!("'{text}'")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_string;

    #[test]
    fn words_that_yaml_1_1_takes_for_booleans_are_quoted() {
        let text = to_string(&json!({"a": "Off", "on": ["yes", "n", "none"], "b": {"no": 1}}));
        assert_eq!(
            text.unwrap(),
            "a: 'Off'\nb:\n  'no': 1\n'on':\n- 'yes'\n- 'n'\n- none\n"
        );
    }

    #[test]
    fn block_text_is_left_as_it_is() {
        let text = to_string(&json!({"file": "a: on\n\nb:\n- off\n", "x": "on"})).unwrap();
        assert_eq!(text, "file: |\n  a: on\n\n  b:\n  - off\nx: 'on'\n");
    }
}
