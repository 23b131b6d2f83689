//! What all answers have in common, and the shapes of the particular ones.

use super::support::{Setup, digest_of, open_upload, push_blob, push_manifest, start};

#[test]
fn the_base_answers_as_docker_expects() {
    let running = start();

    let response = running.send("GET /v2/");

    assert_eq!((response.status, response.text().as_str()), (200, "{}"));
    assert_eq!(response.header("docker-distribution-api-version"), Some("registry/2.0"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert!(response.header("x-request-id").is_some());
    let redirected = running.send("GET /v2");
    assert_eq!((redirected.status, redirected.header("location")), (301, Some("/v2/")));
}

#[test]
fn unknown_paths_and_methods_are_refused_in_the_envelope() {
    let running = start();

    let unknown = running.send("GET /nowhere");
    let wrong = running.send("PATCH /v2/a/manifests/latest");

    assert_eq!((unknown.status, unknown.code().as_str()), (404, "UNSUPPORTED"));
    assert_eq!((wrong.status, wrong.code().as_str()), (405, "UNSUPPORTED"));
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, PUT, DELETE, OPTIONS"));
    assert_eq!(wrong.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(wrong.header("docker-distribution-api-version"), Some("registry/2.0"));
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let running = start();
    let digest = push_blob(&running, "a/b", b"hello world");
    let (manifest, text) = push_manifest(&running, "a/b", "latest");
    for (path, length) in [
        (format!("/v2/a/b/blobs/{digest}"), 11),
        (format!("/v2/a/b/manifests/{manifest}"), text.len()),
        ("/v2/a/b/manifests/latest".to_owned(), text.len()),
        ("/v2/a/b/tags/list".to_owned(), r#"{"name":"a/b","tags":["latest"]}"#.len()),
        ("/v2/".to_owned(), 2),
    ] {
        let mut client = running.connect();

        let head = client.send(&format!("HEAD {path}"));
        let get = client.send(&format!("GET {path}"));

        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-length"), Some(length.to_string().as_str()), "{path}");
        assert_eq!(get.body.len(), length, "{path}");
        let kept = |response: &super::support::Response| {
            let volatile = ["x-request-id", "date"];
            let mut headers = response.headers.clone();
            headers.retain(|(name, _)| !volatile.contains(&name.as_str()));
            headers.sort();
            headers
        };
        assert_eq!(kept(&head), kept(&get), "{path}");
    }
}

#[test]
fn a_refused_head_has_the_length_of_its_error_and_no_body() {
    let running = start();
    let mut client = running.connect();

    let head = client.send(&format!("HEAD /v2/a/blobs/{}", digest_of(b"no")));
    let after = client.send("GET /v2/");

    assert_eq!(head.status, 404);
    assert_ne!(head.header("content-length"), Some("0"));
    assert_eq!(after.status, 200, "the connection is still in step");
}

#[test]
fn a_manifest_is_served_with_its_exact_bytes_and_everything_about_them() {
    let running = start();
    let (digest, text) = push_manifest(&running, "a", "latest");

    let by_tag = running.send("GET /v2/a/manifests/latest");
    let by_digest =
        running.send(&format!("GET /v2/a/manifests/{}\nAccept: text/plain", digest.replace(':', "%3A")));

    for response in [&by_tag, &by_digest] {
        assert_eq!((response.status, response.text()), (200, text.clone()));
        assert_eq!(response.header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
        assert_eq!(response.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(response.header("etag"), Some(format!("\"{digest}\"").as_str()));
    }
    assert_eq!(by_tag.header("cache-control"), Some("no-cache"));
    assert_eq!(by_digest.header("cache-control"), Some("max-age=31536000, immutable"));
}

#[test]
fn a_current_copy_is_not_sent_again() {
    let running = start();
    let (digest, _) = push_manifest(&running, "a", "latest");
    let blob = push_blob(&running, "a", b"layer");
    for (path, held) in [
        ("manifests/latest".to_owned(), format!("\"{digest}\"")),
        ("manifests/latest".to_owned(), digest.clone()),
        ("manifests/latest".to_owned(), format!("\"other\", W/\"{digest}\"")),
        (format!("manifests/{digest}"), "*".to_owned()),
        (format!("blobs/{blob}"), format!("\"{blob}\"")),
    ] {
        let response = running.send(&format!("GET /v2/a/{path}\nIf-None-Match: {held}"));

        assert_eq!(response.status, 304, "{path} {held}");
        assert!(response.body.is_empty());
        assert!(response.header("etag").is_some());
    }
    assert_eq!(running.send("GET /v2/a/manifests/latest\nIf-None-Match: \"x\"").status, 200);
}

#[test]
fn a_tag_is_pushed_on_its_condition() {
    let running = start();
    let (digest, text) = push_manifest(&running, "a", "v1");
    let put = |tag: &str, condition: &str| {
        let mut client = running.connect();
        client.write_head(&format!("PUT /v2/a/manifests/{tag}\n{condition}\nContent-Length: {}", text.len()));
        client.write(&text);
        client.read(false).status
    };

    assert_eq!(put("v1", "If-None-Match: *"), 412);
    assert_eq!(put("v2", "If-None-Match: *"), 201);
    assert_eq!(put("v1", &format!("If-Match: \"{digest}\"")), 201);
    assert_eq!(put("v1", "If-Match: \"sha256:other\""), 412);
    assert_eq!(put("v1", "If-Match: *"), 201);
    assert_eq!(put("v9", "If-Match: *"), 412);
}

#[test]
fn an_upload_is_told_where_it_stands() {
    let running = start();
    let opened = running.send("POST /v2/a/blobs/uploads/\nContent-Type: application/json\nContent-Length: 0");
    let location = opened.header("location").unwrap();

    assert_eq!(opened.status, 202);
    assert!(location.starts_with("/v2/a/blobs/uploads/"), "{location}");
    assert_eq!(opened.header("range"), Some("0-0"));
    assert_eq!(opened.header("content-length"), Some("0"));
    assert!(opened.header("docker-upload-uuid").is_some());

    let mut client = running.connect();
    client.write_head(&format!("PATCH {location}\nContent-Length: 5"));
    client.write("hello");
    let patched = client.read(false);
    assert_eq!((patched.status, patched.header("range")), (202, Some("0-4")));

    let status = running.send(&format!("GET {}", patched.header("location").unwrap()));
    assert_eq!((status.status, status.header("range")), (204, Some("0-4")));
    assert_eq!(status.header("content-length"), None);
}

#[test]
fn a_chunk_out_of_order_learns_where_to_go_on() {
    let running = start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();

    client.write_head(&format!("PATCH {location}\nContent-Range: 7-9\nContent-Length: 3"));
    client.write("xyz");
    let refused = client.read(false);

    assert_eq!((refused.status, refused.code().as_str()), (416, "RANGE_INVALID"));
    assert_eq!(refused.header("range"), Some("0-0"));
    assert!(refused.header("location").is_some());
    assert_eq!(running.send(&format!("GET {}", refused.header("location").unwrap())).status, 204);
}

#[test]
fn a_commit_names_the_digest_and_can_be_repeated() {
    let running = start();
    let location = open_upload(&running, "a");
    let digest = digest_of(b"hello");
    let finish = format!("PUT {location}&digest={digest}\nContent-Length: 5");
    for _ in 0..2 {
        let mut client = running.connect();
        client.write_head(&finish);
        client.write("hello");
        let response = client.read(false);

        assert_eq!(response.status, 201, "{}", response.text());
        assert_eq!(response.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(response.header("location"), Some(format!("/v2/a/blobs/{digest}").as_str()));
    }
}

#[test]
fn a_token_works_in_any_order_and_escaping() {
    let running = start();
    let location = open_upload(&running, "a");
    let (path, token) = location.split_once("?_state=").unwrap();
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let digest = digest_of(b"").replace(':', "%3A");

    let response =
        running.send(&format!("PUT {path}?digest={digest}&x=y&_state={escaped}\nContent-Length: 0"));

    assert_eq!(response.status, 201, "{}", response.text());
}

#[test]
fn a_closing_request_without_a_usable_digest_keeps_the_session() {
    let running = start();
    let location = open_upload(&running, "a");
    let (one, two) = (digest_of(b"1"), digest_of(b"2"));
    for digest in
        ["", "&digest=", "&digest=sha256:xyz", "&digest=md5:0", &format!("&digest={one}&digest={two}")]
    {
        let response = running.send(&format!("PUT {location}{digest}\nContent-Length: 0"));

        assert_eq!((response.status, response.code().as_str()), (400, "DIGEST_INVALID"), "{digest:?}");
    }
    assert_eq!(running.send(&format!("GET {location}")).status, 204);
}

#[test]
fn a_failed_mount_is_an_upload() {
    let running = start();
    let digest = digest_of(b"nowhere");
    for query in ["&from=no/such", "&from=UPPER", "", "&from=no/such&origin=x"] {
        let response =
            running.send(&format!("POST /v2/a/blobs/uploads/?mount={digest}{query}\nContent-Length: 0"));

        assert_eq!(response.status, 202, "{query}");
        assert!(response.header("location").is_some());
    }
}

#[test]
fn a_mount_succeeds_with_a_source_and_without() {
    let running = start();
    let digest = push_blob(&running, "source", b"layer");
    for (target, query) in [("one", "&from=source"), ("two", "")] {
        let mounted = running
            .send(&format!("POST /v2/{target}/blobs/uploads/?mount={digest}{query}\nContent-Length: 0"));

        assert_eq!(mounted.status, 201, "{}", mounted.text());
        assert_eq!(mounted.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(running.send(&format!("GET /v2/{target}/blobs/{digest}")).text(), "layer");
    }
}

#[test]
fn lists_are_paged_by_links_that_keep_other_parameters() {
    let running = start();
    for tag in ["v1", "v2", "v3"] {
        push_manifest(&running, "a/b", tag);
    }

    let first = running.send("GET /v2/a/b/tags/list?n=2&ns=x");
    let link = first.header("link").unwrap().to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = running.send(&format!("GET {next}"));

    assert_eq!(first.text(), r#"{"name":"a/b","tags":["v1","v2"]}"#);
    assert_eq!(link, "</v2/a/b/tags/list?ns=x&n=2&last=v2>; rel=\"next\"");
    assert_eq!((second.text().as_str(), second.header("link")), (r#"{"name":"a/b","tags":["v3"]}"#, None));
    let none = running.send("GET /v2/a/b/tags/list?n=0");
    assert_eq!((none.text().as_str(), none.header("link")), (r#"{"name":"a/b","tags":[]}"#, None));
    assert_eq!(running.send("GET /v2/a/b/tags/list?n=-1").code(), "PAGINATION_NUMBER_INVALID");
    assert_eq!(running.send("GET /v2/no/such/tags/list?n=0").code(), "NAME_UNKNOWN");
    assert_eq!(running.send("GET /v2/_catalog").text(), r#"{"repositories":["a/b"]}"#);
    assert_eq!(running.send("GET /v2/_catalog?n=1001").code(), "PAGINATION_NUMBER_INVALID");
}

#[test]
fn referrers_have_exactly_the_index_type() {
    let running = start();
    let subject = digest_of(b"subject");

    let all = running.send(&format!("GET /v2/a/referrers/{subject}"));
    let some = running.send(&format!("GET /v2/a/referrers/{subject}?artifactType=application/x+json"));

    assert_eq!(all.status, 200, "{}", all.text());
    assert_eq!(all.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    assert_eq!(
        all.text(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
    );
    assert_eq!(
        (all.header("oci-filters-applied"), some.header("oci-filters-applied")),
        (None, Some("artifactType"))
    );
}

#[test]
fn configured_headers_and_hosts_are_used() {
    let mut setup = Setup::default();
    setup.config.headers = vec![("Strict-Transport-Security".into(), "max-age=1".into())];
    setup.config.host = Some("https://r.example.com".into());
    setup.config.prefix = "/registry".into();
    let running = setup.start();

    let response = running.send("POST /registry/v2/a/blobs/uploads/\nContent-Length: 0");

    assert_eq!(response.header("strict-transport-security"), Some("max-age=1"));
    let location = response.header("location").unwrap();
    assert!(location.starts_with("https://r.example.com/registry/v2/a/blobs/uploads/"), "{location}");
    assert_eq!(running.send("GET /v2/").status, 404);
}

#[test]
fn hosts_of_strangers_never_reach_an_address() {
    let running = start();

    let response = running.send(
        "POST /v2/a/blobs/uploads/\nContent-Length: 0\nX-Forwarded-Host: evil\nForwarded: host=evil;proto=https",
    );

    assert!(response.header("location").unwrap().starts_with("/v2/"));
}

#[test]
fn a_request_id_is_taken_over_or_made() {
    let running = start();

    assert_eq!(running.send("GET /v2/\nX-Request-ID: abc-1").header("x-request-id"), Some("abc-1"));
    assert_ne!(running.send("GET /v2/\nX-Request-ID: a b").header("x-request-id"), Some("a b"));
}

#[test]
fn a_preflight_is_answered_for_allowed_origins_only() {
    let mut setup = Setup::default();
    setup.config.cors =
        Some(entrepot_frontend::Cors { allow_origins: vec!["https://ui.example.com".into()] });
    let running = setup.start();

    let allowed = running.send("OPTIONS /v2/a/tags/list\nOrigin: https://ui.example.com");
    let foreign = running.send("OPTIONS /v2/a/tags/list\nOrigin: https://evil.example.com");

    assert_eq!((allowed.status, foreign.status), (204, 204));
    assert_eq!(allowed.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://ui.example.com"));
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert_eq!(
        start().send("OPTIONS /v2/\nOrigin: https://ui.example.com").header("access-control-allow-origin"),
        None
    );
}

#[test]
fn bodies_are_never_encoded() {
    let running = start();
    push_manifest(&running, "a", "latest");

    let response =
        running.send("GET /v2/a/manifests/latest\nAccept-Encoding: zstd;q=1.0, gzip;q=0.8, deflate;q=0.5");

    assert_eq!(response.header("content-encoding"), None);
}

#[test]
fn a_read_only_registry_refuses_every_write() {
    let mut setup = Setup::default();
    setup.domain.read_only.everything = true;
    let running = setup.start();

    for request in ["POST /v2/a/blobs/uploads/", "PUT /v2/a/manifests/x", "DELETE /v2/a/manifests/x"] {
        let response = running.send(&format!("{request}\nContent-Length: 0"));

        assert_eq!((response.status, response.code().as_str()), (405, "UNSUPPORTED"), "{request}");
        assert!(response.header("retry-after").is_some() && response.header("allow").is_some());
    }
}
