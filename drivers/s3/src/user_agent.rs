//! The operator's words in `User-Agent`, before the SDK's own.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;

#[derive(Debug)]
pub(crate) struct UserAgent(String);

impl UserAgent {
    pub(crate) fn new(words: &str) -> Self {
        Self(words.to_owned())
    }
}

// Not `dyn_dispatch_hint`: the SDK then asks only what is implemented below.
impl Intercept for UserAgent {
    fn name(&self) -> &'static str {
        "UserAgent"
    }

    // After signing: this header is never signed, because proxies change it.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        let own = headers.get("user-agent").unwrap_or_default();
        let words = format!("{} {own}", self.0);
        headers.try_insert("user-agent", words)?;
        Ok(())
    }
}
