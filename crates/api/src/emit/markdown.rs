//! The reference for people: an overview, each operation, each error code, and what changed since 2015.

use std::fmt::{self, Write};

use crate::endpoint::{Access, Body, Endpoint};
use crate::header::{self, Header};
use crate::parameter::{Parameter, Schema};
use crate::{ENDPOINTS, ErrorCode, Failure, Method};

const INTRODUCTION: &str = "\
# Registry API

This page is written from the endpoint table; edit the table, not the page.

The API is that of the OCI distribution specification (the clauses `end-N` are its), with what Docker's registry API
has beyond it and one extension. All paths begin with `/v2/`, below `http.prefix` if one is configured.

- `<name>` is a repository name and contains slashes as they are. A path is read from its end, so a component may be
  called `manifests` or `blobs`: the last marker decides. Names are checked after that, and a bad one is a 400.
- Paths are not normalised or decoded: `..`, `//`, `%2f` and the like make a name invalid. The colon of a digest may
  be written `%3A`.
- Unknown query parameters are ignored. `Location` and `Link` are relative unless `http.host` or a trusted proxy says
  otherwise; their queries are opaque.
- Every answer carries `Docker-Distribution-API-Version: registry/2.0`. No answer is ever content-encoded.
- HEAD is answered like GET without the body. About manifests and blobs it is never redirected.
- Every path answers `OPTIONS` with `Allow`, and a method it does not accept with 405 and `Allow`.
";

const HISTORY: &str = "\
## History

The API of 2015, before there was a specification, answered some requests with other statuses. Clients of today break
on the old ones, so they are not configurable.

| request | 2015 | now |
|---|---|---|
| `PUT` of a manifest | 202 | 201 |
| `PATCH` of an upload | 204 | 202 |
| closing `PUT` of an upload | 204 | 201 |
| `PUT` of a manifest whose blobs are missing | 400 `BLOB_UNKNOWN` | 400 `MANIFEST_BLOB_UNKNOWN`, one error for each |
| closing `PUT` with `size` or `length` | required | checked when present |

Digests of the form `tarsum.v1+sha256:...`, the blob identifiers of that time, are recognised only to say so: the
answer is 400 `DIGEST_INVALID` on every path.
";

/// The document, with a newline at its end.
pub fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    write(&mut text).expect("writing to a string cannot fail");
    text
}

fn write(out: &mut String) -> fmt::Result {
    overview(out)?;
    writeln!(out, "\n## Operations")?;
    for row in ENDPOINTS {
        operation(out, row)?;
    }
    failures_of_every_path(out)?;
    error_codes(out)?;
    headers(out)?;
    write!(out, "\n{HISTORY}")
}

fn overview(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Overview\n")?;
    writeln!(out, "| operation | request | clause | access | success |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for row in ENDPOINTS {
        let codes: Vec<_> = row.successes.iter().map(|success| success.status.code().to_string()).collect();
        writeln!(
            out,
            "| [{0}](#{0}) | `{1}` | {2} | {3} | {4} |",
            row.operation,
            request_line(row),
            or_dash(&row.clauses.join(", ")),
            access(row.access),
            codes.join(", "),
        )?;
    }
    Ok(())
}

fn operation(out: &mut String, row: &Endpoint) -> fmt::Result {
    writeln!(out, "\n### {}\n\n**{}**\n", row.operation, row.summary)?;
    writeln!(out, "`{}`\n\n{}", request_line(row), row.description)?;
    let clauses = if row.clauses.is_empty() { "not part of it".to_owned() } else { row.clauses.join(", ") };
    writeln!(out, "\nSpecification: {clauses}. Access: {}.", access(row.access))?;
    if row.has_request_body() {
        writeln!(out, "Request body: {}.", body(row.request_body))?;
    }
    parameters(out, row)?;
    answers(out, row)?;
    failures(out, row.failures)
}

fn request_line(row: &Endpoint) -> String {
    let methods: Vec<_> = row.methods.iter().map(|method| Method::as_str(*method)).collect();
    let path = row.resource.template().replace('{', "<").replace('}', ">");
    format!("{} {path}", methods.join("/"))
}

fn access(access: Access) -> &'static str {
    match access {
        Access::None => "none",
        Access::Base => "any known caller",
        Access::Pull => "`pull`",
        Access::PullPush => "`pull,push`",
        Access::Delete => "`delete`",
        Access::Catalog => "`registry:catalog:*`",
    }
}

fn body(body: Body) -> &'static str {
    match body {
        Body::Empty => "none",
        Body::EmptyObject => "`{}`",
        Body::Manifest => "the manifest, byte for byte",
        Body::Blob => "bytes of the blob",
        Body::BlobRanges => "the asked-for bytes",
        Body::Tags => "`{\"name\": ..., \"tags\": [...]}`",
        Body::Catalog => "`{\"repositories\": [...]}`",
        Body::Referrers => "an OCI image index",
        Body::ManifestTags => "`{\"name\": ..., \"digest\": ..., \"tags\": [...]}`",
    }
}

fn parameters(out: &mut String, row: &Endpoint) -> fmt::Result {
    let path = row.resource.parameters();
    if path.is_empty() && row.parameters.is_empty() && row.request_headers.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| in | name | meaning |\n|---|---|---|")?;
    for parameter in path {
        writeln!(out, "| path | `{}` | {} |", parameter.name, meaning(parameter))?;
    }
    for parameter in row.parameters {
        writeln!(out, "| query | `{}` | {} |", parameter.name, meaning(parameter))?;
    }
    for header in row.request_headers {
        writeln!(out, "| header | `{}` | {} |", header.name, header.description)?;
    }
    Ok(())
}

fn meaning(parameter: &Parameter) -> String {
    let required = if parameter.required { "" } else { " *Optional.*" };
    let number = if parameter.schema == Schema::Number { " *A number.*" } else { "" };
    format!("{}{number}{required}", parameter.description)
}

fn answers(out: &mut String, row: &Endpoint) -> fmt::Result {
    writeln!(out, "\n| answer | when | headers | body |\n|---|---|---|---|")?;
    for success in row.successes {
        let headers = names(success.headers);
        writeln!(out, "| {} | {} | {headers} | {} |", success.status, success.when, body(success.body))?;
    }
    Ok(())
}

fn failures(out: &mut String, failures: &[Failure]) -> fmt::Result {
    if failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| failure | code | when | headers |\n|---|---|---|---|")?;
    for failure in failures {
        let headers = names(failure.headers());
        writeln!(out, "| {} | `{}` | {} | {headers} |", failure.status(), failure.code(), failure.when())?;
    }
    Ok(())
}

fn names(headers: &[&Header]) -> String {
    let names: Vec<_> = headers.iter().map(|header| format!("`{}`", header.name)).collect();
    or_dash(&names.join(", ")).to_owned()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn failures_of_every_path(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Failures before an operation is chosen")?;
    failures(out, Failure::UNROUTED)?;
    writeln!(out, "\nReserved, and given by no operation so far:")?;
    failures(out, Failure::RESERVED)
}

fn error_codes(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Error codes\n")?;
    writeln!(out, "Every refusal has a JSON body, answers to HEAD excepted:\n")?;
    writeln!(
        out,
        "```json\n{{\"errors\": [{{\"code\": \"...\", \"message\": \"...\", \"detail\": ...}}]}}\n```\n"
    )?;
    writeln!(
        out,
        "Programs should go by `code`; `message` is for people and may grow; `detail` may be absent.\n"
    )?;
    writeln!(out, "| code | status | message | meaning |\n|---|---|---|---|")?;
    for code in ErrorCode::ALL {
        let status = code.status().code();
        writeln!(out, "| `{code}` | {status} | {} | {} |", code.message(), code.description())?;
    }
    Ok(())
}

fn headers(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Headers\n\n| header | meaning |\n|---|---|")?;
    for header in header::ALL {
        writeln!(out, "| `{}` | {} |", header.name, header.description)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_code_and_header_is_on_the_page() {
        let page = document();

        for row in ENDPOINTS {
            assert!(page.contains(&format!("\n### {}\n", row.operation)), "{:?}", row.id);
        }
        for code in ErrorCode::ALL {
            assert!(page.contains(&format!("| `{code}` | {} |", code.status().code())), "{code}");
        }
        for header in header::ALL {
            assert!(
                page.contains(&format!("| `{}` | {} |", header.name, header.description)),
                "{}",
                header.name
            );
        }
    }

    #[test]
    fn no_cell_breaks_its_table() {
        for line in document().lines().filter(|line| line.starts_with('|')) {
            assert!(line.ends_with('|') && !line.contains("||"), "{line}");
        }
    }

    #[test]
    fn the_statuses_of_2015_are_listed_as_history() {
        assert!(document().contains("| `PATCH` of an upload | 204 | 202 |"));
        assert!(document().contains("tarsum"));
    }
}
