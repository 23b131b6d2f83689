//! HTTP statuses by name. The numbers stand here and nowhere else in the workspace.

macro_rules! statuses {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $phrase:literal;)+) => {
        /// Every status the registry answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Status {
            $($(#[$doc])+ $name = $code,)+
        }

        impl Status {
            /// Every status, in ascending order of its number.
            pub const ALL: &'static [Status] = &[$(Status::$name,)+];

            /// What the number means, in two or three words.
            pub const fn phrase(self) -> &'static str {
                match self {
                    $(Status::$name => $phrase,)+
                }
            }
        }
    };
}

statuses! {
    /// The answer carries what was asked for.
    Ok = 200, "OK";
    /// The push is durable.
    Created = 201, "Created";
    /// An upload goes on, or a deletion is done.
    Accepted = 202, "Accepted";
    /// Done, and there is nothing to say.
    NoContent = 204, "No Content";
    /// One or several ranges of a blob.
    PartialContent = 206, "Partial Content";
    /// `/v2` without its slash.
    MovedPermanently = 301, "Moved Permanently";
    /// The client's copy is current.
    NotModified = 304, "Not Modified";
    /// The bytes are to be fetched from the store; method and headers stay as they are.
    TemporaryRedirect = 307, "Temporary Redirect";
    /// The request cannot be understood or its content is wrong.
    BadRequest = 400, "Bad Request";
    /// Credentials are missing or wrong.
    Unauthorized = 401, "Unauthorized";
    /// The credentials are good and do not suffice.
    Forbidden = 403, "Forbidden";
    /// There is nothing here.
    NotFound = 404, "Not Found";
    /// Not with this method, or not as this registry is configured.
    MethodNotAllowed = 405, "Method Not Allowed";
    /// The client stopped sending.
    RequestTimeout = 408, "Request Timeout";
    /// A condition of the request does not hold.
    PreconditionFailed = 412, "Precondition Failed";
    /// The body is larger than the configured limit.
    ContentTooLarge = 413, "Content Too Large";
    /// The request line is longer than the server reads, or names too many tags.
    UriTooLong = 414, "URI Too Long";
    /// The range lies outside the content, or the chunk is not the next one.
    RangeNotSatisfiable = 416, "Range Not Satisfiable";
    /// The caller has to slow down.
    TooManyRequests = 429, "Too Many Requests";
    /// The headers are longer than the server reads.
    HeaderFieldsTooLarge = 431, "Request Header Fields Too Large";
    /// The client went away before the answer. Written to the access log, never sent.
    ClientClosedRequest = 499, "Client Closed Request";
    /// A defect of the registry.
    InternalServerError = 500, "Internal Server Error";
    /// The store, or the registry's memory budget, cannot take the request now.
    ServiceUnavailable = 503, "Service Unavailable";
}

impl Status {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code(), self.phrase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_listed_once_and_in_ascending_order() {
        assert!(Status::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert_eq!(Status::ServiceUnavailable.to_string(), "503 Service Unavailable");
    }
}
