//! The ways of Amazon's chain: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::{Asked, Identity, Question, Said, file, into_answer, json as answered, refused, text};
use crate::proxy::Proxy;

/// A way to credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amazon {
    /// Variables.
    Environment,
    /// A profile of the shared credentials file.
    Profile,
    /// A service account of Kubernetes, whose token STS changes for a role's credentials (IRSA).
    WebIdentity,
    /// EKS's agent, which takes the token of a file.
    PodIdentity,
    /// ECS's agent, which takes the token of a variable.
    Container,
    /// The machine's metadata, second version: for who fetched a session first.
    Instance,
}

/// Keys with an end, as STS gives them out.
#[derive(Clone, Debug)]
pub struct TemporaryKeys {
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// What says that they are temporary.
    pub session_token: String,
    /// What is said to be left of their life when they are handed out.
    pub life: Duration,
}

const ROLE: &str = "arn:aws:iam::123456789012:role/registry";
const POD_TOKEN: &str = "token-of-the-pod";
const SESSION: &str = "session-with-the-metadata-service";

impl Amazon {
    /// A registry that finds these keys by this way, the first ones until [`Identity::renew`] is called. Files
    /// go to `home`.
    pub fn with(self, keys: Vec<TemporaryKeys>, home: &Path) -> Identity {
        let first = keys.first().expect("keys to hand out").clone();
        let asked = Asked::default();
        let renewed = Arc::new(AtomicUsize::new(0));
        let issuer = self.is_asked().then(|| self.issuer(keys, &asked, Arc::clone(&renewed)));
        let address =
            issuer.as_ref().map(|issuer| format!("http://{}", issuer.address())).unwrap_or_default();
        let mut environment = match self {
            Self::Environment => vec![
                ("AWS_ACCESS_KEY_ID", first.access_key),
                ("AWS_SECRET_ACCESS_KEY", first.secret_key),
                ("AWS_SESSION_TOKEN", first.session_token),
            ],
            Self::Profile => {
                let profile = format!(
                    "[registry]\naws_access_key_id={}\naws_secret_access_key={}\naws_session_token={}\n",
                    first.access_key, first.secret_key, first.session_token
                );
                vec![
                    ("AWS_SHARED_CREDENTIALS_FILE", file(home, "credentials", &profile)),
                    ("AWS_PROFILE", "registry".to_owned()),
                ]
            }
            Self::WebIdentity => vec![
                ("AWS_WEB_IDENTITY_TOKEN_FILE", file(home, "web-identity", POD_TOKEN)),
                ("AWS_ROLE_ARN", ROLE.to_owned()),
                ("AWS_ENDPOINT_URL_STS", address),
            ],
            Self::PodIdentity => vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{address}/v1/credentials")),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file(home, "pod-identity", POD_TOKEN)),
            ],
            Self::Container => vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{address}/v2/credentials/task")),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", POD_TOKEN.to_owned()),
            ],
            Self::Instance => vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)],
        };
        // Nothing of the machine the tests run on.
        environment.push(("HOME", home.display().to_string()));
        if self != Self::Instance {
            environment.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
        }
        Identity { environment, configuration: String::new(), asked, renewed, _issuer: issuer }
    }

    fn is_asked(self) -> bool {
        !matches!(self, Self::Environment | Self::Profile)
    }

    fn issuer(self, keys: Vec<TemporaryKeys>, asked: &Asked, renewed: Arc<AtomicUsize>) -> Proxy {
        let keys = Arc::new(keys);
        let answer = asked.answer(move |question| {
            let index = renewed.load(Ordering::SeqCst).min(keys.len() - 1);
            let mut answer = into_answer(self.say(question, &keys[index]));
            if question.method == "PUT" {
                let name = "x-aws-ec2-metadata-token-ttl-seconds";
                answer.headers_mut().insert(name, HeaderValue::from_static("21600"));
            }
            answer
        });
        Proxy::start("issuer", answer)
    }

    fn say(self, question: &Question, keys: &TemporaryKeys) -> Said {
        match self {
            Self::Environment | Self::Profile => refused(StatusCode::NOT_FOUND, "nobody is to be asked"),
            Self::WebIdentity => web_identity(question, keys),
            Self::PodIdentity | Self::Container => {
                let path = if self == Self::Container { "/v2/credentials/task" } else { "/v1/credentials" };
                match (question.path == path, question.header("authorization") == POD_TOKEN) {
                    (true, true) => answered(&keys.as_json()),
                    (true, false) => refused(StatusCode::UNAUTHORIZED, "another token"),
                    (false, _) => refused(StatusCode::NOT_FOUND, "another path"),
                }
            }
            Self::Instance => instance(question, keys),
        }
    }
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
fn web_identity(question: &Question, keys: &TemporaryKeys) -> Said {
    if question.field("Action") != "AssumeRoleWithWebIdentity" {
        return refused(StatusCode::BAD_REQUEST, "another action");
    }
    if question.field("WebIdentityToken") != POD_TOKEN || question.field("RoleArn") != ROLE {
        return refused(StatusCode::FORBIDDEN, "another token or role");
    }
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{}</AccessKeyId>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken><Expiration>{}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        keys.access_key,
        keys.secret_key,
        keys.session_token,
        keys.end()
    );
    (StatusCode::OK, "text/xml", body)
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>
fn instance(question: &Question, keys: &TemporaryKeys) -> Said {
    let has_session = question.header("x-aws-ec2-metadata-token") == SESSION;
    match (question.method.as_str(), question.path.as_str()) {
        ("PUT", "/latest/api/token")
            if !question.header("x-aws-ec2-metadata-token-ttl-seconds").is_empty() =>
        {
            text(SESSION)
        }
        // The first version, which answers whoever asks.
        ("GET", _) if !has_session => refused(StatusCode::UNAUTHORIZED, "no session"),
        ("GET", "/latest/meta-data/iam/security-credentials/") => text("registry"),
        ("GET", "/latest/meta-data/iam/security-credentials/registry") => answered(&keys.as_json()),
        _ => refused(StatusCode::NOT_FOUND, "no such path"),
    }
}

impl TemporaryKeys {
    /// The same, said to live so long.
    #[must_use]
    pub fn living(self, life: Duration) -> Self {
        Self { life, ..self }
    }

    fn end(&self) -> String {
        let end = DateTime::from(SystemTime::now() + self.life);
        end.fmt(Format::DateTime).expect("a date of this century")
    }

    fn as_json(&self) -> Value {
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": self.access_key, "SecretAccessKey": self.secret_key,
            "Token": self.session_token, "Expiration": self.end(),
        })
    }
}
