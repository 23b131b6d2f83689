//! A server on loopback that passes on what it is asked: what the balancer and the wire have in common.
//!
//! Bodies are streamed, headers are passed on as they are, `Host` among them: signatures cover it. Each
//! request goes on over a connection of its own, so that nothing is shared between two of them.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub(crate) type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// A certificate for 127.0.0.1 that nobody but its own holder vouches for.
pub(crate) struct Certificate {
    /// For who is to trust it.
    pub(crate) pem: String,
    acceptor: TlsAcceptor,
}

impl Certificate {
    pub(crate) fn for_loopback() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let rcgen::CertifiedKey { cert, signing_key } = made.expect("a key and a certificate can be made");
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.expect("a key in PKCS#8"))
            .expect("the key is the certificate's");
        Self { pem: cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// A proxy that runs, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of loopback and has `pass` answer each request.
    pub(crate) fn start<P, W>(name: &str, pass: P) -> Self
    where
        P: Fn(Request<Incoming>) -> W + Clone + Send + 'static,
        W: Future<Output = Answer> + Send + 'static,
    {
        Self::run(name, None, pass)
    }

    /// The same on https.
    pub(crate) fn start_with_tls<P, W>(name: &str, certificate: &Certificate, pass: P) -> Self
    where
        P: Fn(Request<Incoming>) -> W + Clone + Send + 'static,
        W: Future<Output = Answer> + Send + 'static,
    {
        Self::run(name, Some(certificate.acceptor.clone()), pass)
    }

    fn run<P, W>(name: &str, tls: Option<TlsAcceptor>, pass: P) -> Self
    where
        P: Fn(Request<Incoming>) -> W + Clone + Send + 'static,
        W: Future<Output = Answer> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        listener.set_nonblocking(true).expect("a listener can be made not to block");
        let address = listener.local_addr().expect("a listener has an address");
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime for the proxy");
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, tls, pass) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        Self { address, stop: Some(stop), thread: Some(thread.expect("a thread for the proxy")) }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens where the thread has ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<P, W>(listener: std::net::TcpListener, tls: Option<TlsAcceptor>, pass: P)
where
    P: Fn(Request<Incoming>) -> W + Clone + Send + 'static,
    W: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (tls, pass) = (tls.clone(), pass.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, pass).await,
                // A client that does not trust us has its own words for it.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, pass).await;
                    }
                }
            }
        });
    }
}

async fn serve<S, P, W>(stream: S, pass: P)
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Fn(Request<Incoming>) -> W,
    W: Future<Output = Answer>,
{
    let service = service_fn(move |request| {
        let answer = pass(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // A client that goes away, or an answer that is cut, ends the connection and nothing else.
    let _ = server::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A connection for one request; `None` where nobody listens.
pub(crate) async fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).await.ok()?;
    let _ = stream.set_nodelay(true);
    Some(stream)
}

/// Sends a request over a connection of its own, which is gone with the answer.
pub(crate) async fn send<B>(
    stream: TcpStream,
    request: Request<B>,
) -> Result<Response<Incoming>, hyper::Error>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        client::Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// What is answered for somebody who did not.
pub(crate) fn bad_gateway(reason: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{reason}\n"))).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
