//! The ways of Google's to a token: the metadata server, where GKE puts workload identity too, and federation,
//! which changes the token of another cloud or cluster for one.

use std::path::Path;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::{Asked, Identity, Question, Said, file, into_answer, json as answered, refused, text};
use crate::proxy::Proxy;

/// A way to tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Google {
    /// <https://cloud.google.com/compute/docs/metadata/querying-metadata>
    Metadata,
    /// <https://cloud.google.com/iam/docs/workload-identity-federation-with-kubernetes>
    Federation,
}

/// The token both give out.
pub const GOOGLE_TOKEN: &str = "token-of-the-registry";
const POD_TOKEN: &str = "token-of-the-pod";
const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster";
const ACCOUNT: &str = "/computeMetadata/v1/instance/service-accounts/default";

impl Google {
    /// A registry that gets its token this way. Files go to `home`.
    pub fn with(self, home: &Path) -> Identity {
        let asked = Asked::default();
        let issuer = Proxy::start("issuer", asked.answer(move |question| into_answer(self.say(question))));
        // Nothing of the machine the tests run on.
        let mut environment = vec![("HOME", home.display().to_string())];
        match self {
            Self::Metadata => environment.push(("GCE_METADATA_HOST", issuer.address().to_string())),
            Self::Federation => {
                let token = file(home, "pod-token", POD_TOKEN);
                let federation = json!({
                    "type": "external_account", "audience": AUDIENCE,
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "token_url": format!("http://{}/v1/token", issuer.address()),
                    "credential_source": {"file": token, "format": {"type": "text"}},
                });
                let federation = file(home, "federation.json", &federation.to_string());
                environment.push(("GOOGLE_APPLICATION_CREDENTIALS", federation));
            }
        }
        Identity {
            environment,
            configuration: String::new(),
            asked,
            renewed: Arc::default(),
            _issuer: Some(issuer),
        }
    }

    fn say(self, question: &Question) -> Said {
        match self {
            Self::Metadata => metadata(question),
            Self::Federation => exchanged(question),
        }
    }
}

fn metadata(question: &Question) -> Said {
    if question.header("metadata-flavor") != "Google" {
        return refused(StatusCode::FORBIDDEN, "the header that browsers cannot send is missing");
    }
    match question.path.strip_prefix(ACCOUNT) {
        Some("/token") => answered(&json!({
            "access_token": GOOGLE_TOKEN, "expires_in": 3600, "token_type": "Bearer",
        })),
        Some("/email") => text("registry@project.iam.gserviceaccount.com"),
        _ => refused(StatusCode::NOT_FOUND, "no such value"),
    }
}

/// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
fn exchanged(question: &Question) -> Said {
    let is_ours = question.path == "/v1/token"
        && question.field("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
        && question.field("audience") == AUDIENCE;
    match is_ours && question.field("subject_token") == POD_TOKEN {
        true => answered(&json!({
            "access_token": GOOGLE_TOKEN, "expires_in": 3600, "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        })),
        false => refused(StatusCode::BAD_REQUEST, "another pool or token"),
    }
}
