use std::num::NonZeroUsize;
use std::sync::Arc;

use jsonschema::Validator;
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::Value;

/// A schema or a value that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The schema is no JSON Schema.
    #[error("the schema is not a valid JSON Schema: {0}")]
    Schema(String),
    /// The value does not fit.
    #[error("{}", .0.join("; "))]
    Value(Vec<String>),
}

/// Checks values against JSON Schemas (2020-12), compiling each schema once; cheap to clone.
#[derive(Clone)]
pub struct SchemaCache {
    compiled: Arc<Mutex<LruCache<Value, Arc<Validator>>>>,
}

impl Default for SchemaCache {
    fn default() -> Self {
        Self { compiled: Arc::new(Mutex::new(LruCache::new(Self::CAPACITY))) }
    }
}

impl SchemaCache {
    const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
    /// More problems than this help nobody.
    const MAX_PROBLEMS: usize = 10;

    /// Fills in the defaults of missing top-level properties, then checks the value.
    ///
    /// # Errors
    /// Every problem with its place, or what is wrong with the schema.
    pub fn complete_and_check(&self, schema: &Value, value: &mut Value) -> Result<(), SchemaError> {
        let properties = schema.get("properties").and_then(Value::as_object);
        if let (Some(properties), Some(object)) = (properties, value.as_object_mut()) {
            for (name, property) in properties {
                if let Some(default) = property.get("default")
                    && !object.contains_key(name)
                {
                    object.insert(name.clone(), default.clone());
                }
            }
        }
        let validator = self.validator(schema)?;
        let problems: Vec<String> = validator
            .iter_errors(value)
            .take(Self::MAX_PROBLEMS)
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                place => format!("{place}: {error}"),
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(SchemaError::Value(problems)) }
    }

    /// Checks that a schema is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_schema(&self, schema: &Value) -> Result<(), SchemaError> {
        self.validator(schema).map(drop)
    }

    fn validator(&self, schema: &Value) -> Result<Arc<Validator>, SchemaError> {
        if let Some(known) = self.compiled.lock().get(schema) {
            return Ok(Arc::clone(known));
        }
        let compiled = jsonschema::draft202012::new(schema).map_err(|error| SchemaError::Schema(error.to_string()))?;
        let compiled = Arc::new(compiled);
        self.compiled.lock().put(schema.clone(), Arc::clone(&compiled));
        Ok(compiled)
    }
}
