//! What is read from manifests, and what is refused.

use std::fmt::Write as _;

use super::build::{Image, Index};
use super::*;
use crate::media_type::*;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

fn media_type(text: &str) -> MediaType {
    text.parse().unwrap()
}

fn entry(kind: &str, digest: &str, size: u64) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
}

fn described(kind: &str, content: &[u8]) -> Descriptor {
    Descriptor::new(media_type(kind), Digest::sha256(content), content.len() as u64)
}

/// An OCI image whose fields after `schemaVersion` are `rest`.
fn oci_image(rest: &str) -> Result<Manifest, ParseError> {
    parse(Some(&media_type(OCI_MANIFEST)), format!(r#"{{"schemaVersion":2,{rest}}}"#).as_bytes())
}

fn oci_index(rest: &str) -> Result<Manifest, ParseError> {
    parse(Some(&media_type(OCI_INDEX)), format!(r#"{{"schemaVersion":2,{rest}}}"#).as_bytes())
}

fn config() -> String {
    format!(r#""config":{}"#, entry(OCI_CONFIG, A, 2))
}

fn refused(result: Result<Manifest, ParseError>) -> String {
    match result {
        Err(ParseError::Manifest { reason }) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn digests(manifest: &Manifest) -> Vec<String> {
    manifest.references.iter().map(|it| it.descriptor.digest.to_string()).collect()
}

fn roles(manifest: &Manifest) -> Vec<Role> {
    manifest.references.iter().map(|it| it.role).collect()
}

mod shapes {
    use super::*;

    #[test]
    fn an_oci_image_names_its_config_then_its_layers() {
        let document = format!(
            r#"{{
              "schemaVersion": 2,
              "mediaType": "{OCI_MANIFEST}",
              "config": {},
              "layers": [ {}, {} ],
              "subject": {},
              "annotations": {{ "com.example.key1": "value1", "Config": "any name is fine here" }}
            }}"#,
            entry(OCI_CONFIG, A, 7023),
            entry(OCI_LAYER_GZIP, B, 32654),
            entry(OCI_LAYER_GZIP, C, 16724),
            entry(OCI_MANIFEST, A, 7682),
        );

        let manifest = parse(Some(&media_type(OCI_MANIFEST)), document.as_bytes()).unwrap();

        assert_eq!(manifest.kind, Kind::Image);
        assert_eq!(manifest.media_type.as_str(), OCI_MANIFEST);
        assert_eq!(roles(&manifest), [Role::Config, Role::Layer, Role::Layer]);
        assert_eq!(digests(&manifest), [A, B, C]);
        assert_eq!(manifest.references[1].descriptor.size, 32654);
        assert_eq!(manifest.subject.unwrap().size, 7682);
        assert_eq!(manifest.annotations["com.example.key1"], "value1");
    }

    #[test]
    fn an_oci_index_names_its_children_with_their_platforms() {
        let document = format!(
            r#""manifests": [
                {{"mediaType":"{OCI_MANIFEST}","digest":"{A}","size":1,
                  "platform":{{"architecture":"arm","os":"linux","variant":"v7","os.version":"6.1",
                               "os.features":["a","b"],"features":["reserved"]}}}},
                {{"mediaType":"{OCI_INDEX}","digest":"{B}","size":2}},
                {{"mediaType":"{DOCKER_MANIFEST}","digest":"{C}","size":3,"platform":{{}}}}]"#
        );

        let manifest = oci_index(&document).unwrap();

        assert_eq!(manifest.kind, Kind::Index);
        assert_eq!(manifest.children().count(), 3);
        assert_eq!(manifest.blobs().count(), 0);
        let first = manifest.references[0].platform.clone().unwrap();
        assert_eq!(first.to_string(), "linux/arm/v7");
        assert_eq!(first.os_version.as_deref(), Some("6.1"));
        assert_eq!(first.os_features, ["a", "b"]);
        assert_eq!(manifest.references[1].platform, None);
        assert_eq!(manifest.references[2].platform, Some(Platform::default()));
    }

    #[test]
    fn dockers_formats_have_the_same_shapes() {
        let image =
            Image::docker(described(DOCKER_CONFIG, b"{}")).layer(described(DOCKER_LAYER, b"l")).build();
        let list = Index::docker().manifest(described(DOCKER_MANIFEST, &image.bytes), None).build();

        let image = parse(Some(&image.media_type), &image.bytes).unwrap();
        let list = parse(Some(&list.media_type), &list.bytes).unwrap();

        assert_eq!((image.kind, image.media_type.as_str()), (Kind::Image, DOCKER_MANIFEST));
        assert_eq!((list.kind, list.media_type.as_str()), (Kind::Index, DOCKER_MANIFEST_LIST));
        assert_eq!(roles(&list), [Role::Child]);
    }

    #[test]
    fn a_build_cache_index_names_blobs() {
        let manifest = oci_index(&format!(
            r#""manifests":[{},{}]"#,
            entry(OCI_LAYER_GZIP, A, 1),
            entry("application/vnd.buildkit.cacheconfig.v0", B, 2)
        ))
        .unwrap();

        assert_eq!(roles(&manifest), [Role::IndexedBlob, Role::IndexedBlob]);
        assert_eq!(manifest.blobs().count(), 2);
    }

    #[test]
    fn layers_may_be_empty_null_or_missing_but_a_config_may_not() {
        for layers in ["", r#","layers":[]"#, r#","layers":null"#] {
            let manifest = oci_image(&format!("{}{layers}", config())).unwrap();
            assert_eq!(roles(&manifest), [Role::Config]);
        }
        assert_eq!(refused(oci_image(r#""layers":[]"#)), "config: required, but missing");
        assert_eq!(refused(oci_image(r#""config":null"#)), "config: required, but missing");
    }

    #[test]
    fn an_index_may_be_empty_but_must_have_its_list() {
        assert!(oci_index(r#""manifests":[]"#).unwrap().references.is_empty());
        assert!(oci_index(r#""manifests":null"#).unwrap().references.is_empty());
        assert_eq!(refused(oci_index(r#""x":1"#)), "manifests: required, but missing");
    }

    #[test]
    fn unknown_fields_and_a_digest_that_repeats_are_kept_out_of_the_way() {
        let layer = format!(
            r#"{{"mediaType":"text/plain","digest":"{B}","size":0,"org.example":{{"digest":"x"}},"annotations":{{"a":"b"}}}}"#
        );
        let manifest = oci_image(&format!(
            r#"{},"layers":[{layer},{layer}],"org.ABC":[1,-2,3.5,null,true,{{"deep":[]}}]"#,
            config()
        ))
        .unwrap();

        assert_eq!(digests(&manifest), [A, B, B]);
        assert_eq!(manifest.references[2].descriptor.annotations["a"], "b");
    }

    #[test]
    fn blanks_escapes_and_the_order_of_fields_change_nothing_but_the_digest() {
        let built = Image::oci(described(OCI_CONFIG, b"{}"))
            .layer(described(OCI_LAYER_GZIP, b"l"))
            .subject(described(OCI_MANIFEST, b"s"))
            .annotation("a/b", "c")
            .build();
        let value: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&built.bytes).unwrap();
        let read = |bytes: &[u8]| parse(Some(&built.media_type), bytes).unwrap();

        let sorted = serde_json::to_vec(&value).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        let escaped = String::from_utf8(built.bytes.clone()).unwrap();
        let escaped = escaped.replace("\"digest\"", "\"di\\u0067est\"").replace('/', "\\/");

        assert_ne!(sorted, built.bytes, "the fields are sorted now");
        for bytes in [sorted, pretty, escaped.into_bytes()] {
            assert_eq!(read(&bytes), read(&built.bytes));
        }
    }

    #[test]
    fn sha512_and_the_empty_descriptor_are_ordinary() {
        let wide = Digest::of(crate::Algorithm::Sha512, b"x").to_string();
        let empty = described(OCI_EMPTY, b"{}");
        let manifest = oci_image(&format!(
            r#""config":{},"layers":[{}]"#,
            entry(OCI_EMPTY, &empty.digest.to_string(), 2),
            entry(OCTET_STREAM, &wide, 1)
        ))
        .unwrap();

        assert_eq!(manifest.references[0].descriptor, empty);
        assert_eq!(digests(&manifest)[1], wide);
    }

    #[test]
    fn foreign_layers_need_not_exist_if_they_say_where_they_are() {
        for kind in [
            DOCKER_FOREIGN_LAYER,
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        ] {
            let layer = |urls: &str| {
                let text = format!(r#"{{"mediaType":"{kind}","digest":"{B}","size":1,"urls":{urls}}}"#);
                oci_image(&format!(r#"{},"layers":[{text}]"#, config())).unwrap().references.remove(1)
            };
            let (with, without) = (layer(r#"["https://example.com/l"]"#), layer("[]"));

            assert_eq!(with.role, Role::ForeignLayer);
            assert!(!with.role.must_exist());
            assert_eq!(with.urls, ["https://example.com/l"]);
            assert!(without.role.must_exist());
        }
    }

    #[test]
    fn the_urls_of_ordinary_descriptors_are_reported_for_the_policy() {
        let config = format!(
            r#""config":{{"mediaType":"a/b","digest":"{A}","size":1,"urls":["http://169.254.169.254/"]}}"#
        );
        let manifest = oci_image(&config).unwrap();
        assert_eq!(manifest.references[0].urls, ["http://169.254.169.254/"]);
        assert_eq!(manifest.references[0].role, Role::Config);
    }
}

mod media_types {
    use super::*;

    #[test]
    fn header_then_field_then_shape_decide() {
        let bare_image = format!(r#"{{"schemaVersion":2,{},"layers":[]}}"#, config());
        let bare_index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let named = format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}",{}}}"#, config());

        let kind = |document: &str| parse(None, document.as_bytes()).unwrap().media_type;
        assert_eq!(kind(&bare_image).as_str(), OCI_MANIFEST);
        assert_eq!(kind(bare_index).as_str(), OCI_INDEX);
        assert_eq!(kind(&named).as_str(), DOCKER_MANIFEST);
        assert!(refused(parse(None, br#"{"schemaVersion":2}"#)).contains("looks like no manifest"));
    }

    #[test]
    fn a_header_that_contradicts_the_document_is_refused() {
        let document = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[]}}"#);
        let reason = refused(parse(Some(&media_type(DOCKER_MANIFEST_LIST)), document.as_bytes()));
        assert!(reason.starts_with("mediaType: "), "{reason}");
    }

    #[test]
    fn a_document_that_could_be_image_or_index_is_refused() {
        let layers = r#""layers":[],"manifests":[]"#;
        let both = format!(r#"{},"manifests":[]"#, config());
        for rest in [layers, &both, r#""config":null,"manifests":[]"#] {
            assert!(refused(oci_index(rest)).contains("does not belong"), "{rest}");
            let document = format!(r#"{{"schemaVersion":2,{rest}}}"#);
            assert!(parse(None, document.as_bytes()).is_err(), "{rest}");
        }
        assert!(refused(oci_image(&both)).starts_with("manifests: does not belong"));
        assert!(refused(oci_image(&format!(r#"{},"fsLayers":[]"#, config()))).starts_with("fsLayers"));
        assert!(oci_image(r#""manifests":[]"#).is_err(), "an index under an image's header");
    }

    #[test]
    fn dockers_documents_must_name_themselves() {
        let document = format!(r#"{{"schemaVersion":2,{}}}"#, config());
        let reason = refused(parse(Some(&media_type(DOCKER_MANIFEST)), document.as_bytes()));
        assert!(reason.starts_with("mediaType: required"), "{reason}");
    }

    #[test]
    fn an_empty_media_type_counts_as_missing() {
        assert!(oci_index(r#""mediaType":"","manifests":[]"#).is_ok());
        assert!(oci_index(r#""mediaType":"json","manifests":[]"#).is_err());
    }

    #[test]
    fn retired_and_unknown_types_are_refused_with_their_reason() {
        for (kind, expected) in [
            (DOCKER_SCHEMA1, "schema v1 unsupported"),
            (DOCKER_SCHEMA1_SIGNED, "schema v1 unsupported"),
            (OCI_ARTIFACT_MANIFEST, "dropped from image-spec"),
            ("application/json", "not a supported manifest media type"),
        ] {
            let header = refused(parse(Some(&media_type(kind)), br#"{"schemaVersion":2,"manifests":[]}"#));
            let field = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[]}}"#);
            assert!(header.contains(expected), "{header}");
            assert!(refused(parse(None, field.as_bytes())).contains(expected));
        }
        let shape = br#"{"schemaVersion":1,"name":"a","fsLayers":[],"history":[],"signatures":[]}"#;
        assert!(refused(parse(None, shape)).contains("schema v1 unsupported"));
        let hidden = br#"{"schemaVersion":1,"config":{},"layers":[]}"#;
        assert!(refused(parse(None, hidden)).contains("schema v1 unsupported"));
    }

    #[test]
    fn the_schema_version_is_the_number_two() {
        for version in ["3", "0", "\"2\"", "2.0", "null", "-2"] {
            let document = format!(r#"{{"schemaVersion":{version},"manifests":[]}}"#);
            let reason = refused(parse(None, document.as_bytes()));
            assert!(reason.starts_with("schemaVersion: "), "{reason}");
        }
        assert!(refused(parse(None, br#"{"manifests":[]}"#)).starts_with("schemaVersion: required"));
    }

    #[test]
    fn no_media_type_has_two_schemas_and_none_is_retired() {
        for (position, one) in SCHEMAS.iter().enumerate() {
            assert_eq!(one.media_type().as_str(), one.media_type);
            assert!(SCHEMAS[position + 1..].iter().all(|other| other.media_type != one.media_type));
            assert!(is_manifest_type(&media_type(one.media_type)));
        }
        for retired in [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT_MANIFEST] {
            assert!(schema(retired).is_none());
        }
    }
}

mod hostile {
    use super::*;

    #[test]
    fn fields_that_differ_in_case_only_are_refused() {
        let layer = entry(OCI_LAYER_GZIP, B, 1);
        for (rest, place) in [
            (format!(r#"{},"layers":[],"Layers":[{layer}]"#, config()), "Layers"),
            (format!(r#"{},"MANIFESTS":[]"#, config()), "MANIFESTS"),
            (format!(r#"{},"\u017fubject":{layer}"#, config()), "\"\u{17f}ubject\""),
            (
                format!(r#""config":{{"mediaType":"a/b","digest":"{A}","Digest":"{B}","size":1}}"#),
                "config.Digest",
            ),
            (
                format!(r#"{},"layers":[{{"mediaType":"a/b","digest":"{A}","size":1,"SIZE":2}}]"#, config()),
                "layers[0].SIZE",
            ),
        ] {
            let reason = refused(oci_image(&rest));
            assert!(reason.starts_with(&format!("{place}: differs from")), "{reason}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        let with = |field: &str, value: &str| {
            let mut fields = vec![
                ("mediaType", format!("{OCI_LAYER_GZIP:?}")),
                ("digest", format!("{B:?}")),
                ("size", "1".into()),
            ];
            fields.retain(|(name, _)| *name != field);
            fields.push((field, value.into()));
            let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
            let layers = format!("{},{{{}}}", entry(OCI_LAYER_GZIP, B, 1), text.join(","));
            oci_image(&format!(r#"{},"layers":[{layers}]"#, config()))
        };
        assert!(with("size", "0").is_ok());
        assert!(with("size", "9223372036854775807").is_ok());
        for (field, value) in [
            ("size", "9223372036854775808"),
            ("size", "18446744073709551616"),
            ("size", "-1"),
            ("size", "1.0"),
            ("size", "1e3"),
            ("size", "\"1\""),
            ("size", "null"),
            ("digest", "null"),
            ("digest", "7"),
            ("digest", "\"sha256:ABC\""),
            ("digest", "\"md5:d41d8cd98f00b204e9800998ecf8427e\""),
            ("digest", "\"\""),
            ("mediaType", "\"\""),
            ("mediaType", "\"not a type\""),
            ("mediaType", "[]"),
            ("urls", "\"https://example.com\""),
            ("urls", "[1]"),
            ("annotations", "[]"),
            ("annotations", "{\"a\":1}"),
            ("artifactType", "1"),
            ("platform", "\"linux/amd64\""),
            ("platform", "{\"os\":1}"),
            ("data", "{}"),
        ] {
            let reason = refused(with(field, value));
            assert!(reason.starts_with(&format!("layers[1].{field}")), "{field} {value}: {reason}");
        }
    }

    #[test]
    fn names_are_escaped_in_refusals() {
        let reason = refused(oci_image(&format!(r#"{},"annotations":{{"a\nb":1}}"#, config())));
        assert_eq!(reason, r#"annotations."a\nb": expected a string, found a number"#);
    }

    #[test]
    fn containers_of_the_wrong_kind_are_refused() {
        for rest in [
            r#""config":[]"#.to_owned(),
            format!(r#"{},"layers":{{}}"#, config()),
            format!(r#"{},"layers":["x"]"#, config()),
            format!(r#"{},"layers":[null]"#, config()),
            format!(r#"{},"subject":"{A}""#, config()),
            format!(r#"{},"annotations":{{"a":null}}"#, config()),
            format!(r#"{},"artifactType":[]"#, config()),
        ] {
            refused(oci_image(&rest));
        }
        for document in ["null", "[]", "2", "\"manifest\"", "[{\"schemaVersion\":2}]"] {
            let reason = refused(parse(None, document.as_bytes()));
            assert!(reason.starts_with("the document: expected an object"), "{reason}");
        }
    }

    #[test]
    fn strictness_reaches_into_fields_nobody_reads() {
        for rest in [
            r#""x":{"a":1,"a":1}"#.to_owned(),
            format!(r#""x":{}{}"#, "[".repeat(64), "]".repeat(64)),
            r#""x":1e999"#.to_owned(),
        ] {
            refused(oci_image(&format!("{},{rest}", config())));
        }
    }

    #[test]
    fn the_number_of_references_is_bounded() {
        let layers = |count: usize| {
            let mut text = entry("a/b", B, 1);
            for _ in 1..count {
                write!(text, ",{}", entry("a/b", B, 1)).unwrap();
            }
            oci_image(&format!(r#"{},"layers":[{text}]"#, config()))
        };

        assert_eq!(layers(MAX_REFERENCES - 1).unwrap().references.len(), MAX_REFERENCES);
        assert!(refused(layers(MAX_REFERENCES)).starts_with("layers: more than 10000 descriptors"));
    }

    #[test]
    fn embedded_data_must_be_the_content_it_stands_for() {
        let layer = |data: &str, size: usize, content: &[u8]| {
            let digest = Digest::sha256(content);
            let text = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":{size},"data":"{data}"}}"#);
            oci_image(&format!(r#"{},"layers":[{text}]"#, config()))
        };
        assert!(layer("aGVsbG8=", 5, b"hello").is_ok());
        assert!(layer("", 0, b"").is_ok());
        for (data, size, content) in [
            ("aGVsbG8=", 4, b"hello".as_slice()),
            ("aGVsbG8=", 5, b"other"),
            ("aGVsbG8", 5, b"hello"),
            ("aGVs\\nbG8=", 5, b"hello"),
            ("aGVsbG9=", 5, b"hello"),
            ("-_-_", 3, b"hello"),
        ] {
            let reason = refused(layer(data, size, content));
            assert!(reason.starts_with("layers[0].data: "), "{reason}");
        }
    }
}

mod artifacts {
    use super::*;

    #[test]
    fn a_listed_image_falls_back_to_its_configs_type_and_an_index_to_nothing() {
        let listed = |manifest: &Manifest| {
            referrer_descriptor(manifest, Digest::sha256(b"m"), 9).artifact_type.unwrap_or_default()
        };
        let image = |field: &str| oci_image(&format!("{}{field}", config())).unwrap();
        let index = |field: &str| oci_index(&format!(r#""manifests":[]{field}"#)).unwrap();

        assert_eq!(listed(&image(r#","artifactType":"application/x.sbom""#)), "application/x.sbom");
        assert_eq!(listed(&image("")), OCI_CONFIG);
        assert_eq!(listed(&image(r#","artifactType":"""#)), OCI_CONFIG);
        assert_eq!(listed(&index(r#","artifactType":"application/x.sbom""#)), "application/x.sbom");
        assert_eq!(listed(&index("")), "");
    }

    #[test]
    fn a_referrers_descriptor_carries_the_manifests_own_annotations() {
        let subject = described(OCI_MANIFEST, b"subject");
        let built = Image::oci(described(OCI_EMPTY, b"{}"))
            .artifact_type("application/x.signature")
            .subject(subject.clone())
            .annotation("org.example", "yes")
            .build();

        let manifest = parse(Some(&built.media_type), &built.bytes).unwrap();
        let digest = Digest::sha256(&built.bytes);
        let descriptor = referrer_descriptor(&manifest, digest, built.bytes.len() as u64);

        assert_eq!(manifest.subject, Some(subject));
        assert_eq!(descriptor.digest, digest);
        assert_eq!(descriptor.media_type.as_str(), OCI_MANIFEST);
        assert_eq!(descriptor.artifact_type.as_deref(), Some("application/x.signature"));
        assert_eq!(descriptor.annotations["org.example"], "yes");
    }
}

mod builders {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let platform = Platform {
            os: "windows".into(),
            architecture: "amd64".into(),
            variant: Some("v2".into()),
            os_version: Some("10.0".into()),
            os_features: vec!["win32k".into()],
        };
        let foreign = described(DOCKER_FOREIGN_LAYER, b"base");
        let image = Image::oci(described(OCI_CONFIG, b"{}"))
            .layer_at(foreign, vec!["https://example.com/base".into()])
            .layer(described(OCI_LAYER_GZIP, b"top"))
            .build();
        let index = Index::oci()
            .manifest(described(OCI_MANIFEST, &image.bytes), Some(platform.clone()))
            .subject(described(OCI_INDEX, b"s"))
            .build();

        let image = parse(Some(&image.media_type), &image.bytes).unwrap();
        let index = parse(Some(&index.media_type), &index.bytes).unwrap();

        assert_eq!(roles(&image), [Role::Config, Role::ForeignLayer, Role::Layer]);
        assert_eq!(index.references[0].platform, Some(platform));
        assert!(index.subject.is_some());
    }

    #[test]
    fn the_same_calls_give_the_same_bytes() {
        let built = Index::docker().annotation("b", "2").annotation("a", "1").build();
        let expected = format!(
            r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST_LIST}","manifests":[],"annotations":{{"a":"1","b":"2"}}}}"#
        );
        assert_eq!(String::from_utf8(built.bytes).unwrap(), expected);
    }
}
