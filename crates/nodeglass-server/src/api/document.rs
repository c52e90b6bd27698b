//! The OpenAPI document: what every call has in common, added to what its handler says, and where it is served.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem, Paths};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, HeaderBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, Response as Answer, ResponseBuilder, SecurityRequirement, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::headers::OF_PAGES;
use super::routes;
use super::tag::{Known, Tag};
use crate::error::{MEDIA_TYPE, Problem, codes};
use crate::policy::{Policy, Scope};

/// The security scheme of tokens.
const TOKEN: &str = "token";

const DESCRIPTION: &str = "\
What a Nodeglass server answers. Every path under `/api/v1` is there under `/api`, too.

Calls need the header `Authorization: Bearer TOKEN` unless they say otherwise. Each has the least role that may make it \
(`x-role`), and says what it is about (`x-scope`): `agent`, the one that the path names, or `fleet`, all that the caller may \
see. An agent that the caller may not see is answered as one that does not exist.

Errors are problem details (RFC 9457) with a `code` for programs, which does not change. Times are Unix milliseconds, unless \
they are called seconds. What could not be known is absent; it is never a zero.";

/// Groups of calls.
const TAGS: [(&str, &str); 9] = [
    ("agents", "One agent: what it is, what it does, and what it did."),
    ("metrics", "Figures of several agents."),
    ("groups", "Groups of agents, and what is asked of them."),
    ("events", "What happened."),
    ("dashboards", "Dashboards that people made and share."),
    ("data", "Stored samples, in and out."),
    (
        "session",
        "Signing in and out, and what everybody changes of their own.",
    ),
    ("accounts", "Tokens, users and the audit log, for admins."),
    ("server", "The server itself."),
];

/// What the answer to calls for an agent's former name is called.
const MOVED: &str = "Moved";

/// The answers that any call may have: status, name, description.
const COMMON: [(u16, &str, &str); 11] = [
    (
        400,
        "BadRequest",
        "A parameter is missing, can't be read, or is out of range.",
    ),
    (401, "Unauthorized", "There is no valid token with the call."),
    (403, "Forbidden", "The caller's role does not allow this."),
    (
        404,
        "NotFound",
        "There is nothing of that name, or nothing is known of it yet.",
    ),
    (
        406,
        "NotAcceptable",
        "Answers are not given in any form that the caller accepts.",
    ),
    (413, "TooLarge", "The body is too large: send less in one call."),
    (415, "UnsupportedMediaType", "Bodies are not taken in this form."),
    (
        429,
        "TooManyRequests",
        "The caller has made too many calls: come back after `Retry-After`.",
    ),
    (
        500,
        "Internal",
        "A mistake of the server's, which its log describes.",
    ),
    (
        503,
        "Unavailable",
        "The database, the agent or the server has no time: come back after `Retry-After`.",
    ),
    (504, "Timeout", "The answer took too long."),
];

/// Which of them a call may have.
fn is_possible(status: u16, policy: Policy, operation: &Operation) -> bool {
    match status {
        413 => operation.request_body.is_some(),
        415 => {
            let body = operation.request_body.as_ref();
            body.is_some_and(|body| body.content.contains_key("application/json"))
        }
        401 | 403 => !policy.is_open(),
        // Something is named that may not be there: in the path, or among agents.
        404 => policy.scope == Scope::Agent || names_something(operation),
        406 => has_forms(operation),
        _ => true,
    }
}

fn names_something(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| parameter.parameter_in == ParameterIn::Path || parameter.name == "agents")
}

/// Whether the caller chooses among several forms of the answer.
fn has_forms(operation: &Operation) -> bool {
    match operation.responses.responses.get("200") {
        Some(RefOr::T(answer)) => answer.content.len() > 1,
        Some(RefOr::Ref(_)) | None => false,
    }
}

/// The document without calls.
pub(super) fn empty() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Nodeglass")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license.build()));
    let tags = TAGS.map(|(name, description)| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    });
    let mut components = Components::new();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `nodeglass-server token add NAME --role ROLE`"));
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    components.schemas.insert(Problem::name().into_owned(), problem());
    for (status, name, description) in COMMON {
        components
            .responses
            .insert(name.to_owned(), answer(status, description).into());
    }
    components.responses.insert(MOVED.to_owned(), moved().into());
    OpenApiBuilder::new()
        .info(info.build())
        .tags(Some(tags))
        .components(Some(components))
        .build()
}

/// The schema of problems, with all codes.
fn problem() -> RefOr<Schema> {
    let mut schema = Problem::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        let table: Vec<Value> = codes::ALL
            .iter()
            .map(|code| {
                json!({
                    "code": code.name,
                    "status": code.status.as_u16(),
                    "grpc": format!("{:?}", code.grpc),
                    "title": code.title,
                })
            })
            .collect();
        let names = codes::ALL.iter().map(|code| code.name);
        if let Some(RefOr::T(Schema::Object(code))) = object.properties.get_mut("code") {
            code.enum_values = Some(names.map(Value::from).collect());
        }
        let extensions = object.extensions.get_or_insert_default();
        extensions.insert("x-codes".to_owned(), Value::Array(table));
    }
    schema
}

/// The answer to calls for an agent's former name.
fn moved() -> Answer {
    let header = HeaderBuilder::new().description(Some("The same call for the agent's name of now"));
    ResponseBuilder::new()
        .description("The agent was renamed.")
        .header("Location", header.build())
        .build()
}

/// An error's answer.
fn answer(status: u16, description: &str) -> Answer {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name())));
    let mut answer = ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, content.build());
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let header = HeaderBuilder::new()
            .schema(seconds)
            .description(Some("Seconds until another try makes sense"));
        answer = answer.header("Retry-After", header.build());
    }
    answer.build()
}

/// Adds calls with this policy.
pub(super) fn add(
    document: &mut OpenApi,
    policy: Policy,
    schemas: Vec<(String, RefOr<Schema>)>,
    paths: Paths,
) {
    let components = document.components.get_or_insert_default();
    for (name, schema) in schemas {
        let known = components.schemas.insert(name.clone(), schema.clone());
        debug_assert!(
            name == Problem::name() || known.is_none_or(|known| known == schema),
            "two types are called {name} in the document: give one of them another name with `schema(as = …)`"
        );
    }
    // Described already, and better than by its type alone.
    components.schemas.insert(Problem::name().into_owned(), problem());
    for (path, mut item) in paths.paths {
        for operation in operations(&mut item) {
            complete(operation, policy);
        }
        match document.paths.paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => drop(document.paths.paths.insert(path, item)),
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}

/// Adds what a call's policy says, and the errors that any call may have.
fn complete(operation: &mut Operation, policy: Policy) {
    let security = if policy.is_open() {
        SecurityRequirement::default()
    } else {
        SecurityRequirement::new(TOKEN, [] as [&str; 0])
    };
    operation.security.get_or_insert_default().push(security);
    let mut says = vec![("x-scope", Value::from(policy.scope.name()))];
    if !policy.is_open() {
        says.push(("x-role", Value::from(policy.least.name())));
    }
    let extensions = operation.extensions.get_or_insert_default();
    extensions.merge(says.into_iter().collect::<Extensions>());
    if policy.scope == Scope::Agent {
        let moved = || RefOr::Ref(Ref::from_response_name(MOVED));
        let answers = &mut operation.responses.responses;
        answers.entry("308".to_owned()).or_insert_with(moved);
    }
    for (status, name, _) in COMMON {
        if !is_possible(status, policy, operation) {
            continue;
        }
        let common = || RefOr::Ref(Ref::from_response_name(name));
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert_with(common);
    }
}

/// The document as JSON, the same each time.
pub fn openapi() -> Value {
    serde_json::to_value(routes().document).expect("a document has only text keys")
}

/// Made once: it does not change while the program runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi().to_string().into());

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "server",
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = Object),
        (status = 304, description = "It has not changed."),
    ),
)]
pub(super) async fn openapi_json(known: Known) -> Response {
    Tag::of(&DOCUMENT).answer(&known, || super::json(DOCUMENT.clone()))
}

/// The page that shows this document, without anything from elsewhere.
#[utoipa::path(
    get, path = "/api/docs", operation_id = "docs", tag = "server",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("document/page.html"))
}

/// The script of the page.
#[utoipa::path(
    get, path = "/api/docs/page.js", operation_id = "docs_script", tag = "server",
    responses((status = 200, description = "The script.", body = String, content_type = "text/javascript")),
)]
pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("document/page.js"))
}

/// The looks of the page.
#[utoipa::path(
    get, path = "/api/docs/page.css", operation_id = "docs_style", tag = "server",
    responses((status = 200, description = "The style sheet.", body = String, content_type = "text/css")),
)]
pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("document/page.css"))
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, OF_PAGES),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests;
