//! The one place that knows old shapes of stored objects. There are none yet: the first stored
//! form is still the only one. Not a place for defaults, which stand with their fields.

use serde_json::Value;

/// Brings a stored body to the present shape.
pub fn upgrade(body: Value) -> Value {
    body
}
