//! The ways of Microsoft's: an application with a secret, the service account of a pod, and the identity of
//! the machine. Their tokens are good for Azurite, which looks at what they claim and not at who signed them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Asked, Identity, Question, Said, file, into_answer, json as answered, refused};
use crate::proxy::{Certificate, Proxy};

/// A way to tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Microsoft {
    /// A managed identity, from the endpoint App Service names:
    /// <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>.
    ManagedIdentity,
    /// A pod's service account, whose token Entra ID changes for one of its own:
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential>.
    WorkloadIdentity,
    /// An application with a secret, in the configuration:
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#first-case-access-token-request-with-a-shared-secret>.
    ClientSecret,
}

/// What only the machine itself knows, so that nobody else is given its tokens.
const SECRET: &str = "only-for-this-machine";
const TENANT: &str = "ab1f708d-50f6-404c-a006-d71b2ac7a606";
const CLIENT: &str = "registry";
const POD_TOKEN: &str = "token-of-the-pod";
const LIFE: Duration = Duration::from_secs(3600);

impl Microsoft {
    /// A registry that gets its tokens this way. Files go to `home`.
    pub fn with(self, home: &Path) -> Identity {
        let asked = Asked::default();
        let answer = asked.answer(move |question| into_answer(self.say(question)));
        if self == Self::ManagedIdentity {
            let issuer = Proxy::start("issuer", answer);
            let endpoint = format!("http://{}/msi/token", issuer.address());
            return Identity {
                environment: vec![("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", SECRET.to_owned())],
                configuration: "    credentials:\n      type: default_credentials\n".to_owned(),
                asked,
                renewed: Arc::default(),
                _issuer: Some(issuer),
            };
        }
        // Entra ID is spoken to by TLS alone, and its certificate is verified.
        let certificate = Certificate::for_loopback();
        let issuer = Proxy::start_with_tls("issuer", &certificate, answer);
        let mut environment = vec![
            ("AZURE_AUTHORITY_HOST", format!("https://{}/", issuer.address())),
            ("SSL_CERT_FILE", file(home, "authority.pem", &certificate.pem)),
        ];
        let configuration = match self {
            Self::ClientSecret => format!(
                "    credentials:\n      type: client_secret\n      tenantid: {TENANT}\n      clientid: {CLIENT}\n      \
                 secret: {SECRET}\n"
            ),
            Self::WorkloadIdentity | Self::ManagedIdentity => {
                environment.extend([
                    ("AZURE_TENANT_ID", TENANT.to_owned()),
                    ("AZURE_CLIENT_ID", CLIENT.to_owned()),
                    ("AZURE_FEDERATED_TOKEN_FILE", file(home, "federated-token", POD_TOKEN)),
                ]);
                "    credentials:\n      type: default_credentials\n".to_owned()
            }
        };
        Identity { environment, configuration, asked, renewed: Arc::default(), _issuer: Some(issuer) }
    }

    fn say(self, question: &Question) -> Said {
        match self {
            Self::ManagedIdentity => managed(question),
            Self::WorkloadIdentity | Self::ClientSecret => self.entra(question),
        }
    }

    fn entra(self, question: &Question) -> Said {
        if question.path != format!("/{TENANT}/oauth2/v2.0/token") {
            return refused(StatusCode::NOT_FOUND, "another tenant");
        }
        let is_ours = question.field("grant_type") == "client_credentials"
            && question.field("client_id") == CLIENT
            && question.field("scope") == "https://storage.azure.com/.default";
        let has_proof = match self {
            Self::ClientSecret => question.field("client_secret") == SECRET,
            _ => {
                question.field("client_assertion") == POD_TOKEN
                    && question.field("client_assertion_type")
                        == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            }
        };
        match is_ours && has_proof {
            true => answered(&json!({
                "token_type": "Bearer", "expires_in": LIFE.as_secs(), "access_token": token(),
            })),
            false => refused(StatusCode::UNAUTHORIZED, "another application, scope or proof"),
        }
    }
}

fn managed(question: &Question) -> Said {
    let is_known = question.header("x-identity-header") == SECRET;
    // `resource=https%3A%2F%2Fstorage.azure.com`, with or without a slash at its end.
    match (is_known, question.query.contains("storage.azure.com")) {
        (true, true) => answered(&issued()),
        (true, false) => refused(StatusCode::BAD_REQUEST, "a token for storage, or none"),
        (false, _) => refused(StatusCode::UNAUTHORIZED, "the header is another"),
    }
}

fn issued() -> Value {
    json!({
        "access_token": token(), "expires_on": end().to_string(),
        "resource": "https://storage.azure.com", "token_type": "Bearer",
    })
}

fn token() -> String {
    let claims = json!({
        "iss": "https://sts.windows.net/tenant/", "aud": "https://storage.azure.com",
        "nbf": now() - 60, "iat": now() - 60, "exp": end(),
        "oid": "11059fcc-5514-4800-b5f8-49808b9cfab6", "tid": TENANT,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.unsigned", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs()
}

fn end() -> u64 {
    now() + LIFE.as_secs()
}
