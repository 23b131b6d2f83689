//! Tokens that nobody waits for longer than he must.
//!
//! In the last five minutes of a token the SDK asks for the next one before each call, under a lock, and goes on
//! with the present one only when that *fails*: an issuer that says nothing would stop every call. Here the next
//! one is fetched beside the calls while the present one is good, and the wait for a first one is bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a call waits for a token.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an issuer is given. It is asked again by `azure_identity` meanwhile where it fails.
const LONGEST: Duration = Duration::from_secs(30);
/// What is left of a token that is good for one more call.
const SPARE: Duration = Duration::from_secs(30);
/// What is left of a token when the next one is fetched: as the SDK has it, which asks us only then.
const DUE: Duration = Duration::from_secs(5 * 60);
/// How long a failed renewal waits for the next, while there is a good token.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a failure holds for those who have no token: they come one after the other, and each would wait.
const REFUSAL: Duration = Duration::from_secs(2);

/// Somebody's tokens, renewed before they end.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    issuer: Arc<dyn TokenCredential>,
    held: Arc<Mutex<BTreeMap<Vec<String>, Held>>>,
}

/// What is known for one set of scopes.
#[derive(Debug, Default)]
struct Held {
    token: Option<AccessToken>,
    /// When the issuer was last asked, and what ends with the question.
    asked: Option<(Instant, watch::Receiver<()>)>,
    failed: Option<(Instant, Arc<azure_core::Error>)>,
}

impl Held {
    /// The token, where it is good for that long.
    fn lasting(&self, spare: Duration) -> Option<&AccessToken> {
        self.token.as_ref().filter(|token| token.expires_on > OffsetDateTime::now_utc() + spare)
    }

    fn failed_within(&self, time: Duration) -> Option<&Arc<azure_core::Error>> {
        let (_, error) = self.failed.as_ref().filter(|(at, _)| at.elapsed() < time)?;
        Some(error)
    }

    /// The question that is still open, where one is.
    fn open_question(&self) -> Option<(Instant, watch::Receiver<()>)> {
        self.asked.clone().filter(|(_, question)| question.has_changed().is_ok())
    }
}

impl Tokens {
    pub(crate) fn new(issuer: Arc<dyn TokenCredential>) -> Self {
        Self { issuer, held: Arc::default() }
    }

    /// What is there at once, or the question to wait for.
    fn at_once(
        &self,
        scopes: &[String],
    ) -> azure_core::Result<Result<AccessToken, (Instant, watch::Receiver<()>)>> {
        let mut all = self.all();
        let held = all.entry(scopes.to_vec()).or_default();
        if let Some(token) = held.lasting(SPARE).cloned() {
            let is_due = held.lasting(DUE).is_none() && held.failed_within(PAUSE).is_none();
            if is_due && held.open_question().is_none() {
                held.asked = Some(self.ask(scopes));
            }
            return Ok(Ok(token));
        }
        if let Some(error) = held.failed_within(REFUSAL) {
            return Err(again(error));
        }
        let question = held.open_question().unwrap_or_else(|| self.ask(scopes));
        held.asked = Some(question.clone());
        Ok(Err(question))
    }

    /// Asks the issuer, beside whoever wants to know: a call that is dropped does not end the question.
    fn ask(&self, scopes: &[String]) -> (Instant, watch::Receiver<()>) {
        let (this, scopes) = (self.clone(), scopes.to_vec());
        let (open, question) = watch::channel(());
        tokio::spawn(async move {
            let names: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let asked = tokio::time::timeout(LONGEST, this.issuer.get_token(&names, None)).await;
            let answer = asked.unwrap_or_else(|_| Err(silent(LONGEST)));
            this.keep(&scopes, answer);
            drop(open);
        });
        (Instant::now(), question)
    }

    fn keep(&self, scopes: &[String], answer: azure_core::Result<AccessToken>) {
        let mut all = self.all();
        let held = all.entry(scopes.to_vec()).or_default();
        match answer {
            Ok(token) => (held.token, held.failed) = (Some(token), None),
            Err(error) => {
                if held.lasting(SPARE).is_some() {
                    tracing::warn!(%error, "the token could not be renewed; the present one goes on");
                }
                held.failed = Some((Instant::now(), Arc::new(error)));
            }
        }
    }

    /// No holder leaves it half changed, so a panic elsewhere does not spoil it.
    fn all(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenCredential for Tokens {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let (since, mut question) = match self.at_once(&scopes)? {
            Ok(token) => return Ok(token),
            Err(question) => question,
        };
        // Counted from the question: who comes late to an issuer that says nothing does not wait again. The
        // error that ends the wait is the question's end.
        let waited = tokio::time::timeout_at(since + PATIENCE, question.changed()).await;
        let all = self.all();
        let held = all.get(&scopes);
        match held.and_then(|held| held.lasting(Duration::ZERO)) {
            Some(token) => Ok(token.clone()),
            None if waited.is_err() => Err(silent(PATIENCE)),
            None => match held.and_then(|held| held.failed_within(LONGEST)) {
                Some(error) => Err(again(error)),
                None => Err(azure_core::Error::with_message(ErrorKind::Credential, "a token that has ended")),
            },
        }
    }
}

/// A failure told once more.
fn again(error: &Arc<azure_core::Error>) -> azure_core::Error {
    azure_core::Error::with_error(ErrorKind::Credential, Arc::clone(error), error.to_string())
}

fn silent(time: Duration) -> azure_core::Error {
    let late = std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no token within {time:?}"));
    azure_core::Error::new(ErrorKind::Io, late)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// An issuer that does as it is told, and counts.
    #[derive(Debug, Default)]
    struct Issuer {
        asked: AtomicUsize,
        mood: Mutex<Mood>,
    }

    #[derive(Clone, Copy, Debug, Default)]
    enum Mood {
        #[default]
        Hangs,
        Refuses,
        /// Gives tokens that last so long.
        Gives(Duration),
    }

    #[async_trait]
    impl TokenCredential for Issuer {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let mood = *self.mood.lock().expect("nobody panics");
            match mood {
                Mood::Hangs => std::future::pending().await,
                Mood::Refuses => Err(azure_core::Error::with_message(ErrorKind::Credential, "AADSTS7000215")),
                Mood::Gives(lasting) => {
                    Ok(AccessToken::new(format!("token {number}"), OffsetDateTime::now_utc() + lasting))
                }
            }
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);
    /// Within the time in which the SDK asks before each call.
    const NEARLY_ENDED: Duration = Duration::from_secs(120);

    fn tokens(mood: Mood) -> (Arc<Issuer>, Tokens) {
        let issuer = Arc::new(Issuer { mood: mood.into(), ..Issuer::default() });
        (Arc::clone(&issuer), Tokens::new(issuer))
    }

    impl Issuer {
        fn becomes(&self, mood: Mood) {
            *self.mood.lock().expect("nobody panics") = mood;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    async fn token(tokens: &Tokens) -> azure_core::Result<String> {
        let token = tokens.get_token(&["https://storage.azure.com/.default"], None).await?;
        Ok(token.token.secret().to_owned())
    }

    /// Every call of the store waited for the issuer, while the token it had was good for minutes.
    #[tokio::test(start_paused = true)]
    async fn a_silent_issuer_holds_up_nobody_who_has_a_good_token() {
        let (issuer, tokens) = tokens(Mood::Gives(NEARLY_ENDED));
        let first = token(&tokens).await.unwrap();
        issuer.becomes(Mood::Hangs);
        let began = Instant::now();

        for _ in 0..100 {
            assert_eq!(token(&tokens).await.unwrap(), first);
            tokio::task::yield_now().await;
        }

        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(issuer.asked(), 2, "one question is open at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_token_is_waited_for_in_seconds_and_not_by_each_anew() {
        let (issuer, tokens) = tokens(Mood::Hangs);
        let began = Instant::now();

        let all = futures_util::future::join_all((0..10).map(|_| token(&tokens))).await;
        let late = token(&tokens).await.unwrap_err();

        assert_eq!(began.elapsed(), PATIENCE);
        assert!(all.iter().all(Result::is_err));
        assert_eq!(issuer.asked(), 1);
        assert!(crate::error::meaning(&late).is_retryable(), "{late}");
        issuer.becomes(Mood::Gives(HOUR));
        tokio::time::sleep(LONGEST + REFUSAL).await;
        assert!(token(&tokens).await.is_ok(), "it is asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_beside_the_calls() {
        let (issuer, tokens) = tokens(Mood::Gives(NEARLY_ENDED));
        assert_eq!(token(&tokens).await.unwrap(), "token 0");
        issuer.becomes(Mood::Gives(HOUR));

        assert_eq!(token(&tokens).await.unwrap(), "token 0");
        tokio::task::yield_now().await;

        assert_eq!(token(&tokens).await.unwrap(), "token 1");
        assert_eq!(token(&tokens).await.unwrap(), "token 1");
        assert_eq!(issuer.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_renewal_is_tried_again_after_a_pause() {
        let (issuer, tokens) = tokens(Mood::Gives(NEARLY_ENDED));
        token(&tokens).await.unwrap();
        issuer.becomes(Mood::Refuses);

        for _ in 0..10 {
            token(&tokens).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(issuer.asked(), 2);
        tokio::time::advance(PAUSE).await;
        token(&tokens).await.unwrap();
        tokio::task::yield_now().await;

        assert_eq!(issuer.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_with_its_words_and_is_not_asked_for_by_each() {
        let (issuer, tokens) = tokens(Mood::Refuses);

        let errors = [token(&tokens).await.unwrap_err(), token(&tokens).await.unwrap_err()];

        for error in errors {
            assert!(error.to_string().contains("AADSTS7000215"), "{error}");
            assert!(!crate::error::meaning(&error).is_retryable(), "{error}");
        }
        assert_eq!(issuer.asked(), 1);
    }
}
