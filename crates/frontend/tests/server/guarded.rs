//! A registry behind a gate: challenges, refusals, and the mount that must not be one.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use entrepot_auth::{
    Access, Action, Actions, Authenticator, Authorizer, Challenge, Credentials, Error, Gate, Identity,
};

use entrepot_domain::redirects::{Redirects, Route};
use entrepot_storage::signer::StoreSigner;

use super::support::{Running, Setup, digest_of};

/// Ann may do everything in `ann/…`; everybody may pull from `public/…`.
#[derive(Debug)]
struct Doorman;

#[async_trait]
impl Authenticator for Doorman {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Identity, Error> {
        match credentials.authorization {
            None => Ok(Identity::anonymous()),
            Some("Bearer ann") => Ok(Identity::named("ann")),
            Some(_) => Err(Error::Unauthenticated("unknown token")),
        }
    }

    fn challenges(&self, access: &Access) -> Vec<Challenge> {
        vec![Challenge::bearer("https://auth.test/token", "registry").scope(access.scope())]
    }
}

#[async_trait]
impl Authorizer for Doorman {
    async fn authorize(&self, identity: &Identity, access: &Access) -> Result<(), Error> {
        let pull = Actions::of(&[Action::Pull]);
        match (identity.name(), access) {
            (_, Access::Repository { repository, actions })
                if repository.as_str().starts_with("public/") && pull.includes(*actions) =>
            {
                Ok(())
            }
            (None, _) => Err(Error::Unauthenticated("anonymous")),
            (Some(_), Access::Repository { repository, .. }) if !repository.as_str().starts_with("ann/") => {
                Err(Error::Denied("not yours".into()))
            }
            (Some(_), _) => Ok(()),
        }
    }
}

fn guarded_gate() -> Gate {
    Gate::guarded(Arc::new(Doorman), Arc::new(Doorman))
}

fn guarded() -> Running {
    Setup { gate: guarded_gate(), ..Setup::default() }.start()
}

#[test]
fn strangers_are_challenged_for_exactly_what_they_want() {
    let running = guarded();
    for (request, scope) in [
        ("GET /v2/ann/x/manifests/latest", "repository:ann/x:pull"),
        ("POST /v2/ann/x/blobs/uploads/", "repository:ann/x:pull,push"),
        ("DELETE /v2/ann/x/manifests/latest", "repository:ann/x:delete"),
        ("GET /v2/_catalog", "registry:catalog:*"),
    ] {
        let response = running.send(request);

        assert_eq!((response.status, response.code().as_str()), (401, "UNAUTHORIZED"), "{request}");
        let expected =
            format!("Bearer realm=\"https://auth.test/token\",service=\"registry\",scope=\"{scope}\"");
        assert_eq!(response.header("www-authenticate"), Some(expected.as_str()));
    }
    let base = running.send("GET /v2/");
    assert_eq!((base.status, base.header("www-authenticate").is_some()), (401, true));
    assert_eq!(running.send("GET /v2/\nAuthorization: Bearer ann").status, 200);
    assert_eq!(running.send("GET /v2/\nAuthorization: Bearer bob").status, 401);
}

#[test]
fn known_callers_without_the_right_are_denied_whether_or_not_the_repository_exists() {
    let running = guarded();

    let response = running.send("GET /v2/bob/x/tags/list\nAuthorization: Bearer ann");

    assert_eq!((response.status, response.code().as_str()), (403, "DENIED"));
}

#[test]
fn a_body_is_not_asked_of_somebody_who_may_not_send_it() {
    let running = guarded();

    let response = running
        .send("POST /v2/ann/x/blobs/uploads/?digest=sha256:0\nContent-Length: 9\nExpect: 100-continue");

    assert_eq!(response.status, 401);
}

#[test]
fn a_mount_from_an_unreadable_repository_is_declined_and_not_refused() {
    let running = guarded();
    let digest = digest_of(b"secret");

    let response = running.send(&format!(
        "POST /v2/ann/x/blobs/uploads/?mount={digest}&from=bob/secret\nContent-Length: 0\nAuthorization: Bearer ann"
    ));

    assert_eq!((response.status, response.header("www-authenticate")), (202, None));
}

#[test]
fn what_not_everybody_may_read_is_not_kept_for_everybody() {
    let running = guarded();
    let (auth, digest) = ("Authorization: Bearer ann", digest_of(b"x"));
    let mut client = running.connect();
    client.write_head(&format!("POST /v2/ann/x/blobs/uploads/?digest={digest}\nContent-Length: 1\n{auth}"));
    client.write("x");
    assert_eq!(client.read(false).status, 201);

    let response = client.send(&format!("GET /v2/ann/x/blobs/{digest}\n{auth}"));

    assert_eq!(response.header("cache-control"), Some("private, max-age=31536000, immutable"));
}

/// How many seconds are left of the URL that a blob of one byte is redirected to.
fn left(gate: Gate) -> u64 {
    let mut setup = Setup { gate, ..Setup::default() };
    let signer = Arc::new(StoreSigner(setup.driver.shared()));
    setup.domain.redirects = Redirects { otherwise: Route::Signed(signer), ..Redirects::default() };
    let running = setup.start();
    let (auth, digest) = ("Authorization: Bearer ann", digest_of(b"x"));
    let mut client = running.connect();
    client.write_head(&format!("POST /v2/ann/x/blobs/uploads/?digest={digest}\nContent-Length: 1\n{auth}"));
    client.write("x");
    assert_eq!(client.read(false).status, 201);

    let answer = client.send(&format!("GET /v2/ann/x/blobs/{digest}\n{auth}"));

    assert_eq!(answer.status, 307);
    let location = answer.header("location").expect("a place");
    let expires: u64 = location.rsplit('=').next().expect("an end").parse().expect("seconds");
    expires - SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs()
}

#[test]
fn who_had_to_say_who_it_is_gets_a_url_that_ends_sooner() {
    let (private, public) = (left(guarded_gate()), left(Gate::open()));

    assert!((120..=300).contains(&private), "{private}");
    assert!((570..=1200).contains(&public), "{public}");
}
