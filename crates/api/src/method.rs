//! The HTTP methods the registry speaks.

/// A method that some endpoint accepts, or `OPTIONS`, which every path accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Read.
    Get,
    /// Read the headers only.
    Head,
    /// Open an upload, or mount a blob.
    Post,
    /// Append to an upload.
    Patch,
    /// Finish an upload, or store a manifest.
    Put,
    /// Delete, or cancel an upload.
    Delete,
    /// Ask which methods a path accepts.
    Options,
}

impl Method {
    /// Every method, in the order `Allow` lists them.
    pub const ALL: [Method; 7] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Patch,
        Method::Put,
        Method::Delete,
        Method::Options,
    ];

    /// The token on the request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }

    /// Reads the token of a request line. Methods are case-sensitive (RFC 9110, section 9.1); `None`
    /// stands for every method no endpoint accepts, `TRACE` and `CONNECT` among them.
    pub fn parse(token: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.as_str() == token)
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_read_back_from_its_token_and_from_nothing_else() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_str()), Some(method));
        }
        for token in ["get", "TRACE", "CONNECT", "", "GET "] {
            assert_eq!(Method::parse(token), None, "{token:?}");
        }
    }
}
