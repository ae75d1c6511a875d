//! The OpenAPI document, made from the route table and the types. Nothing is written by hand, so
//! it cannot say what the server does not do.

use atoll_model::api::ProblemJson;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::routes::{Access, Body, Route, routes};

/// The document, of OpenAPI 3.1.
pub fn document() -> Value {
    let settings = SchemaSettings::openapi3();
    let mut generator = SchemaGenerator::new(settings);
    let problem = generator.subschema_for::<ProblemJson>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut generator, &problem);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let schemas: Map<String, Value> = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Atoll",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Objects, watches, history and the agents' protocol.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    if let Some(query) = route.query {
        parameters.extend(query_parameters(&query(generator)));
    }
    let mut responses = Map::new();
    let done = match route.response {
        Some(body) => json!({ "description": "Done.", "content": content(body, generator) }),
        None => json!({ "description": "Done." }),
    };
    let status = if route.response.is_some() { "200" } else { "204" };
    responses.insert(status.to_owned(), done);
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "Why not, and what to do.",
            "content": { "application/problem+json": { "schema": problem } },
        }),
    );
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = route.request {
        operation["requestBody"] = json!({ "required": true, "content": content(body, generator) });
    }
    if route.access != Access::Public {
        operation["security"] = json!([{ "token": [] }]);
    }
    operation
}

fn content(body: Body, generator: &mut SchemaGenerator) -> Value {
    match body {
        Body::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Body::Text(schema, kind) => {
            let schema = schema(generator);
            json!({ "application/json": { "schema": schema }, kind: { "schema": schema } })
        }
        Body::Raw(kind) => json!({ kind: {} }),
    }
}

fn query_parameters(schema: &Schema) -> Vec<Value> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let required = required.contains(&name.as_str());
            json!({ "name": name, "in": "query", "required": required, "schema": schema })
        })
        .collect()
}
