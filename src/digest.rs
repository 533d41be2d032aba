//! One digest for everything that is compared: canonical JSON, hashed by XXH3 with 64 bits.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// Digest of a value as 64 bits.
///
/// JSON objects are written with sorted keys (maps of this crate are ordered), so equal values have equal digests in
/// every process and release.
#[must_use]
pub fn digest_u64(value: &impl Serialize) -> u64 {
    // Only maps with keys that are no strings fail to serialize; the types of this crate have none.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    xxh3_64(&bytes)
}

/// Digest of a value as 16 hexadecimal digits.
#[must_use]
pub fn digest(value: &impl Serialize) -> String {
    format!("{:016x}", digest_u64(value))
}
