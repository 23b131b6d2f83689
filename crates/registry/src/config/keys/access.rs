//! Rows of `auth`, `middleware` and `policy`.

use std::time::Duration;

use super::{Fate, Key, Kind, Milestone, YEAR, duration};

const MINUTE: Duration = Duration::from_secs(60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

const OPEN: &str = "until then write `auth: none` and let a proxy in front decide who may enter";
const NOT_YET: Fate = Fate::NotYet(Milestone::Authentication, OPEN);

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "auth",
        Kind::Choice,
        "Who may use the registry: at most one of the ways below. Without it the registry listens on loopback only.",
    ),
    Key::new("auth.none", Kind::Optional, "Everybody who can reach the registry may pull and push.")
        .example("{}"),
    Key::new("auth.silly", Kind::Optional, "distribution's test double: any Authorization header will do.")
        .fate(Fate::Refused("it protects nothing; write `auth: none`, which says so"))
        .example("{realm: silly-realm, service: silly-service}"),
    Key::new("auth.silly.realm", Kind::Text, "The realm of the challenge.").example("silly-realm"),
    Key::new("auth.silly.service", Kind::Text, "The service of the challenge.").example("silly-service"),
    Key::new("auth.silly.path", Kind::Text, "Unused by distribution.").example("/nowhere"),
    Key::new("auth.htpasswd", Kind::Optional, "Users and bcrypt passwords from an htpasswd file.")
        .fate(NOT_YET)
        .example("{realm: basic-realm, path: /path/to/htpasswd}"),
    Key::new("auth.htpasswd.realm", Kind::Text, "The realm of the challenge.").example("basic-realm"),
    Key::new("auth.htpasswd.path", Kind::Path, "The htpasswd file.").example("/path/to/htpasswd"),
    Key::new("auth.token", Kind::Optional, "Bearer tokens from a token service.")
        .fate(NOT_YET)
        .example("{realm: token-realm, service: token-service, issuer: registry-token-issuer}"),
    Key::new("auth.token.realm", Kind::Text, "The address of the token service.").example("token-realm"),
    Key::new("auth.token.service", Kind::Text, "The name of this registry at the token service.")
        .example("token-service"),
    Key::new("auth.token.issuer", Kind::Text, "The issuer that tokens must name.")
        .example("registry-token-issuer"),
    Key::new("auth.token.rootcertbundle", Kind::Path, "Certificates whose keys may sign tokens.")
        .example("/root/certs/bundle"),
    Key::new("auth.token.jwks", Kind::Path, "Keys that may sign tokens, as a JWK set.")
        .example("/path/to/jwks"),
    Key::new("auth.token.signingalgorithms", Kind::Texts, "The accepted signature algorithms.")
        .example("[EdDSA, HS256]"),
    Key::new("auth.token.autoredirect", Kind::Flag, "Derives the realm from the request.").example("true"),
    Key::new("auth.token.autoredirectpath", Kind::Text, "The path of such a realm.").example("/auth/token/"),
    Key::new("middleware", Kind::Section, "What is put around the registry's parts. In distribution Go code compiled into it; here only what stands for its storage middlewares."),
    Key::new("middleware.registry", Kind::Items, "Middleware around the registry.")
        .fate(Fate::Refused(
            "middleware is Go code compiled into distribution and has no counterpart; remove it",
        ))
        .example("[{name: ARegistryMiddleware, options: {foo: bar}}]"),
    Key::new("middleware.registry[].name", Kind::Text, "The name of the middleware.")
        .example("ARegistryMiddleware"),
    Key::new("middleware.registry[].disabled", Kind::Flag, "Leaves the middleware out.").example("true"),
    Key::new("middleware.registry[].options", Kind::Anything, "What the middleware is told.")
        .example("{foo: bar}"),
    Key::new("middleware.repository", Kind::Items, "Middleware around each repository.")
        .fate(Fate::Refused(
            "middleware is Go code compiled into distribution and has no counterpart; remove it",
        ))
        .example("[{name: ARepositoryMiddleware, options: {foo: bar}}]"),
    Key::new("middleware.repository[].name", Kind::Text, "The name of the middleware.")
        .example("ARepositoryMiddleware"),
    Key::new("middleware.repository[].disabled", Kind::Flag, "Leaves the middleware out.").example("true"),
    Key::new("middleware.repository[].options", Kind::Anything, "What the middleware is told.")
        .example("{foo: bar}"),
    Key::new("middleware.storage", Kind::Items, "Where redirected pulls go instead of to the store: the last one that is not disabled.")
        .example("[{name: redirect, options: {baseurl: https://example.com/}}]"),
    Key::new("middleware.storage[].name", Kind::OneOf(&["cloudfront", "googlecdn", "redirect", "rewrite"]), "`cloudfront`: signed URLs of Amazon CloudFront. `googlecdn`: those of Google Cloud CDN, with GitLab's options. `redirect`: the object's key behind another address, not signed. `rewrite`: the store's own URL with another scheme, host or a shorter path.")
        .required()
        .example("redirect"),
    Key::new("middleware.storage[].disabled", Kind::Flag, "Leaves the middleware out.")
        .default("false")
        .example("true"),
    Key::new("middleware.storage[].options", Kind::Section, "Where clients are sent, and with what signature."),
    Key::new("middleware.storage[].options.baseurl", Kind::Text, "For cloudfront, googlecdn and redirect: the address clients are sent to. cloudfront and googlecdn add the store's `rootdirectory` to it, as they serve the whole bucket; redirect leaves it out, so write it into the address where the server behind it needs it.")
        .example("https://my.cloudfronted.domain.com/"),
    Key::new("middleware.storage[].options.privatekey", Kind::Path, "For cloudfront: the private key in PEM, RSA or ECDSA P-256. For googlecdn: the key for signed URLs, 16 bytes in base64url. Read again while the registry runs.")
        .example("/path/to/pem"),
    Key::new("middleware.storage[].options.keypairid", Kind::Text, "For cloudfront: the name of that key.")
        .example("cloudfrontkeypairid"),
    Key::new("middleware.storage[].options.keyname", Kind::Text, "For googlecdn: the name of that key.")
        .ours()
        .example("registry-2026"),
    Key::new("middleware.storage[].options.sourceip", Kind::Flag, "For cloudfront: a URL is good from its client's own address only, so each client has others and caches between share nothing. CloudFront must see clients at the address the registry sees; those with private addresses or IPv6 are served through the registry.")
        .ours()
        .default("false")
        .example("true"),
    Key::new("middleware.storage[].options.duration", duration(MINUTE, WEEK), "For cloudfront and googlecdn: how long its URLs are good for, in place of `storage.redirect.ttl`.")
        .example("3000s"),
    Key::new("middleware.storage[].options.ipfilteredby", Kind::OneOf(&["none", "aws", "awsregion", "gcp"]), "For cloudfront and googlecdn: which clients go to the bucket instead. aws: all of Amazon's; awsregion: those of `awsregion`; gcp: all of Google's.")
        .default("none")
        .example("aws"),
    Key::new("middleware.storage[].options.awsregion", Kind::Text, "For cloudfront: the regions whose clients go to S3, with commas between.")
        .example("\"us-east-1, us-east-2\""),
    Key::new("middleware.storage[].options.updatefrequency", duration(MINUTE, YEAR), "For cloudfront and googlecdn: how often the address ranges of Amazon or Google are fetched.")
        .default("12h")
        .example("24h"),
    Key::new("middleware.storage[].options.iprangesurl", Kind::Text, "For cloudfront and googlecdn: where those are fetched. Without it where they publish them: https://ip-ranges.amazonaws.com/ip-ranges.json, https://www.gstatic.com/ipranges/goog.json.")
        .example("https://mirror.example.com/ip-ranges.json"),
    Key::new("middleware.storage[].options.scheme", Kind::OneOf(&["http", "https"]), "For rewrite: the scheme to put in.")
        .example("https"),
    Key::new("middleware.storage[].options.host", Kind::Text, "For rewrite: the host to put in, with a port if it needs one.")
        .example("images.example.com"),
    Key::new("middleware.storage[].options.trimpathprefix", Kind::Text, "For rewrite: what is taken off the beginning of the path.")
        .example("/bucketname"),
    Key::new("policy", Kind::Section, "What may be stored."),
    Key::new("policy.repository", Kind::Section, "What repositories may hold."),
    Key::new(
        "policy.repository.classes",
        Kind::Texts,
        "The classes of content that may be pushed: image, plugin.",
    )
    .fate(Fate::NotYet(Milestone::Authentication, "until then remove it: every class of content is accepted"))
    .example("[image]"),
];
