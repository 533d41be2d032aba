//! Reads PortalPlatform objects from a file, as strictly as the API server would.

use std::{fs, io::Read, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::api::{self, PortalPlatform};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no YAML.
    #[error("failed to parse {path}")]
    Parse {
        /// The file.
        path: String,
        /// Why not.
        source: serde_yaml_ng::Error,
    },
    /// A portal in it does not fit the API.
    #[error("PortalPlatform {name} is not valid: {message}")]
    Invalid {
        /// The portal.
        name: String,
        /// The field and what is wrong with it.
        message: String,
    },
    /// There is no portal in it.
    #[error("no PortalPlatform in {path}")]
    Empty {
        /// The file.
        path: String,
    },
}

/// The portals of a file; other kinds in it are passed over.
///
/// # Errors
/// [`FileError`], which names the file or the field.
pub fn read(path: &Path, namespace: &str) -> Result<Vec<PortalPlatform>, FileError> {
    let shown = path.display().to_string();
    let read = |source| FileError::Read {
        path: shown.clone(),
        source,
    };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(read)?;
        text
    } else {
        fs::read_to_string(path).map_err(read)?
    };
    let portals = parse(&text, namespace).map_err(|error| match error {
        FileError::Parse { source, .. } => FileError::Parse {
            path: shown.clone(),
            source,
        },
        other => other,
    })?;
    if portals.is_empty() {
        return Err(FileError::Empty { path: shown });
    }
    Ok(portals)
}

/// The portals of a YAML text.
///
/// # Errors
/// [`FileError::Parse`] or [`FileError::Invalid`].
pub fn parse(text: &str, namespace: &str) -> Result<Vec<PortalPlatform>, FileError> {
    let mut portals = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|source| FileError::Parse {
            path: String::new(),
            source,
        })?;
        if value["kind"] != "PortalPlatform" {
            continue;
        }
        let name = value["metadata"]["name"]
            .as_str()
            .unwrap_or("without a name")
            .to_owned();
        let invalid = |message| FileError::Invalid {
            name: name.clone(),
            message,
        };
        let unknown = unknown_fields(&value["spec"]);
        if !unknown.is_empty() {
            return Err(invalid(format!("unknown field {}", unknown.join(", "))));
        }
        let mut portal: PortalPlatform =
            serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
        portal
            .metadata
            .namespace
            .get_or_insert_with(|| namespace.to_owned());
        portals.push(portal);
    }
    Ok(portals)
}

/// Paths of the fields that the API does not have.
fn unknown_fields(spec: &Value) -> Vec<String> {
    let crd = serde_json::to_value(api::crd()).unwrap_or_default();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut unknown = Vec::new();
    walk(schema, spec, "spec", &mut unknown);
    unknown
}

fn walk(schema: &Value, value: &Value, path: &str, unknown: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    match value {
        Value::Object(fields) => {
            let open = !schema["additionalProperties"].is_null();
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                match schema["properties"].get(name) {
                    Some(property) => walk(property, field, &path, unknown),
                    None if open => {}
                    None => unknown.push(path),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}
