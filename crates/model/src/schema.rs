//! JSON Schemas that users write: whether a value fits one, told with the path of the field. A
//! schema is never fetched from anywhere.

use std::error::Error;

use boon::{Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// What a schema is called while it is read.
const LOCATION: &str = "atoll://schema.json";
/// So many problems of one value are told.
const TOLD: usize = 20;

/// A schema is whole: it refers to nothing outside.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} is outside; put it into the schema's own $defs").into())
    }
}

/// A schema that has been read.
pub struct Compiled {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Compiled {
    /// Reads a schema.
    ///
    /// # Errors
    /// Why it is none.
    pub fn of(schema: Value) -> Result<Compiled, String> {
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Nowhere));
        compiler.enable_format_assertions();
        let mut schemas = Schemas::new();
        compiler.add_resource(LOCATION, schema).map_err(|e| e.to_string())?;
        let index = compiler.compile(LOCATION, &mut schemas).map_err(|e| format!("{e:#}"))?;
        Ok(Compiled { schemas, index })
    }

    /// What does not fit: the path of the field, and why.
    pub fn problems(&self, value: &Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Err(error) = self.schemas.validate(value, self.index) {
            leaves(&error, &mut found);
        }
        found.truncate(TOLD);
        found
    }
}

/// The innermost errors, which say what is wrong where.
fn leaves(error: &ValidationError, into: &mut Vec<(String, String)>) {
    // Where one of several schemas would do, their errors contradict each other.
    let choice = matches!(error.kind, ErrorKind::AnyOf | ErrorKind::OneOf(_));
    if error.causes.is_empty() || choice {
        let pointer = error.instance_location.to_string();
        let path =
            pointer.trim_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        into.push((path, error.kind.to_string()));
    } else {
        error.causes.iter().for_each(|cause| leaves(cause, into));
    }
}
