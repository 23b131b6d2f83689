//! The OpenAPI 3.1 document.
//!
//! Two things OpenAPI cannot say, said in words instead: `{name}` spans slashes, and paths are matched from
//! their end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::schema::{components, content, has_a_place_of_its_own};
use crate::endpoint::{Access, Body, Endpoint, Success};
use crate::header::{self, Header};
use crate::parameter::{Parameter, Place, Schema};
use crate::{ENDPOINTS, ErrorEntry, Errors, Failure, Method, Resource, Status};

const DESCRIPTION: &str = "The API of an Entrepot registry: the OCI distribution specification, what Docker's \
    registry API has beyond it, and one extension. Repository names contain slashes, which stand in the path as they \
    are; a path is therefore read from its end, and the last marker (`manifests`, `blobs`, `tags`, `referrers`) decides. \
    Every path also answers `OPTIONS`, and other methods with 405 and `Allow`.";

/// The document, pretty-printed, keys in byte order, with a newline at its end.
pub fn document() -> String {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Entrepot",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This registry; `http.prefix` goes here when it is set." }],
        "tags": tags(),
        "paths": paths(),
        "components": components(),
    });
    // Another crate of the build may switch serde_json to insertion order; the file must not change then.
    document.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value can always be written");
    text.push('\n');
    text
}

fn tags() -> Value {
    let mut names: Vec<&str> = ENDPOINTS.iter().map(group).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// The heading an operation stands under.
fn group(endpoint: &Endpoint) -> &'static str {
    match endpoint.resource {
        Resource::BareBase | Resource::Base => "base",
        Resource::Manifest | Resource::ManifestTags => "manifests",
        Resource::Blob => "blobs",
        Resource::Uploads | Resource::Upload => "uploads",
        Resource::Tags => "tags",
        Resource::Catalog => "catalog",
        Resource::Referrers => "referrers",
    }
}

fn paths() -> Value {
    let paths: Map<String, Value> =
        Resource::ALL.iter().map(|resource| (resource.template().to_owned(), path_item(*resource))).collect();
    Value::Object(paths)
}

fn path_item(resource: Resource) -> Value {
    let mut item = Map::new();
    let parameters: Vec<_> = resource.parameters().iter().map(|row| parameter(row)).collect();
    if !parameters.is_empty() {
        item.insert("parameters".into(), Value::Array(parameters));
    }
    for row in ENDPOINTS.iter().filter(|row| row.resource == resource) {
        for method in row.methods {
            item.insert(method.as_str().to_ascii_lowercase(), operation(row, *method));
        }
    }
    Value::Object(item)
}

fn operation(row: &Endpoint, method: Method) -> Value {
    let alone = row.methods.len() == 1 || method != Method::Head;
    let mut operation = json!({
        "operationId": if alone { row.operation.to_owned() } else { format!("{}_head", row.operation) },
        "summary": row.summary,
        "description": row.description,
        "tags": [group(row)],
        "parameters": request_parameters(row),
        "responses": responses(row, method),
        "security": security(row.access),
    });
    if row.has_request_body() {
        operation["requestBody"] = json!({ "content": content(row.request_body) });
    }
    if !row.clauses.is_empty() {
        operation["x-distribution-spec"] = json!(row.clauses);
    }
    if !row.access.repository_actions().is_empty() {
        operation["x-repository-actions"] = json!(row.access.repository_actions());
    }
    operation
}

fn security(access: Access) -> Value {
    match access {
        Access::None => json!([]),
        // The empty requirement: a registry may be configured without authentication.
        _ => json!([{}, { "bearer": [] }, { "basic": [] }]),
    }
}

fn request_parameters(row: &Endpoint) -> Vec<Value> {
    let queries = row.parameters.iter().map(|row| parameter(row));
    let headers = row.request_headers.iter().filter(|row| !has_a_place_of_its_own(row)).map(|header| {
        json!({
            "name": header.name,
            "in": "header",
            "description": header.description,
            "schema": { "type": "string" },
        })
    });
    queries.chain(headers).collect()
}

fn parameter(row: &Parameter) -> Value {
    let schema = match row.schema {
        Schema::Text => json!({ "type": "string" }),
        Schema::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Schema::Number => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        Schema::Repeated => json!({ "type": "array", "items": { "type": "string" } }),
    };
    json!({
        "name": row.name,
        "in": if row.place == Place::Path { "path" } else { "query" },
        "required": row.required,
        "description": row.description,
        "schema": schema,
    })
}

fn responses(row: &Endpoint, method: Method) -> Value {
    let mut responses = Map::new();
    for success in row.successes {
        responses.insert(key(success.status), success_response(success, method));
    }
    for (status, failures) in by_status(row.failures) {
        responses.insert(key(status), failure_response(&failures, method));
    }
    Value::Object(responses)
}

fn key(status: Status) -> String {
    status.code().to_string()
}

fn by_status(failures: &[Failure]) -> BTreeMap<Status, Vec<Failure>> {
    let mut groups: BTreeMap<Status, Vec<Failure>> = BTreeMap::new();
    for failure in failures {
        groups.entry(failure.status()).or_default().push(*failure);
    }
    groups
}

fn success_response(success: &Success, method: Method) -> Value {
    let mut response = json!({
        "description": success.when,
        "headers": response_headers(success.headers.iter().copied()),
    });
    if method != Method::Head && success.body != Body::Empty {
        response["content"] = content(success.body);
    }
    response
}

fn failure_response(failures: &[Failure], method: Method) -> Value {
    let lines: Vec<_> =
        failures.iter().map(|failure| format!("`{}`: {}", failure.code(), failure.when())).collect();
    let headers = failures.iter().flat_map(|failure| failure.headers().iter().copied());
    let mut response = json!({
        "description": lines.join("\n\n"),
        "headers": response_headers(headers),
        "x-error-codes": failures.iter().map(|failure| failure.code().as_str()).collect::<BTreeSet<_>>(),
    });
    if method != Method::Head {
        response["content"] = json!({
            "application/json": {
                "schema": { "$ref": "#/components/schemas/Errors" },
                "examples": failures.iter().map(example).collect::<Map<_, _>>(),
            }
        });
    }
    response
}

fn example(failure: &Failure) -> (String, Value) {
    let body = Errors::one(ErrorEntry::new(*failure));
    (failure.as_str().to_owned(), json!({ "summary": failure.when(), "value": body }))
}

fn response_headers<'a>(headers: impl Iterator<Item = &'a Header>) -> Value {
    let always = [&header::API_VERSION].into_iter();
    let headers = always.chain(headers).filter(|row| !has_a_place_of_its_own(row));
    let references: Map<String, Value> = headers
        .map(|row| (row.name.to_owned(), json!({ "$ref": format!("#/components/headers/{}", row.name) })))
        .collect();
    Value::Object(references)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(&document()).unwrap()
    }

    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method != "parameters" {
                    operations.push((path.clone(), method.clone(), operation.clone()));
                }
            }
        }
        operations
    }

    #[test]
    fn every_row_and_method_is_an_operation_with_a_name_of_its_own() {
        let document = parsed();
        let operations = operations(&document);
        let names: HashSet<_> =
            operations.iter().map(|(_, _, operation)| operation["operationId"].to_string()).collect();

        assert_eq!(operations.len(), ENDPOINTS.iter().map(|row| row.methods.len()).sum::<usize>());
        assert_eq!(names.len(), operations.len());
    }

    #[test]
    fn every_brace_of_a_path_is_declared_as_a_required_parameter() {
        for (path, item) in parsed()["paths"].as_object().unwrap() {
            let declared: Vec<_> = item["parameters"].as_array().into_iter().flatten().collect();
            assert_eq!(path.matches('{').count(), declared.len(), "{path}");
            for parameter in declared {
                assert_eq!(parameter["in"], "path");
                assert_eq!(parameter["required"], true);
                assert!(path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap())));
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(document: &Value, value: &Value) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(reference)) = object.get("$ref") {
                        let pointer = reference.strip_prefix('#').expect("references stay in the document");
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    object.values().for_each(|inner| check(document, inner));
                }
                Value::Array(array) => array.iter().for_each(|inner| check(document, inner)),
                _ => {}
            }
        }
        let document = parsed();
        check(&document, &document);
    }

    #[test]
    fn answers_to_head_have_no_body_and_refusals_of_other_methods_have_one() {
        for (path, method, operation) in operations(&parsed()) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let body = response.get("content").is_some();
                assert!(!response["description"].as_str().unwrap().is_empty(), "{method} {path} {status}");
                if method == "head" {
                    assert!(!body, "{path} {status}");
                } else if status.as_str() >= "400" {
                    assert!(body, "{method} {path} {status}");
                }
            }
        }
    }

    #[test]
    fn every_listed_failure_stands_under_its_status() {
        let document = parsed();
        for row in ENDPOINTS {
            for failure in row.failures {
                let method = row.methods[0].as_str().to_ascii_lowercase();
                let response = &document["paths"][row.resource.template()][method.as_str()]["responses"]
                    [failure.status().code().to_string()];
                let codes = response["x-error-codes"].as_array().unwrap();
                assert!(codes.contains(&json!(failure.code().as_str())), "{:?} {failure:?}", row.id);
            }
        }
    }
}
