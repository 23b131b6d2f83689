//! Who is asking, and may they: authentication and authorization without HTTP.
//!
//! Every request passes a [`Gate`], which asks an [`Authenticator`] who it is and an [`Authorizer`]
//! whether that identity may do what it wants. A [`Grant`] is the proof; nobody else can make one, so a
//! function that takes a grant cannot be reached without having been allowed.
//!
//! Absent here: status codes and header maps, the store, the clock of the operating system.

pub mod access;
pub mod challenge;
pub mod error;
pub mod gate;
pub mod identity;

pub use access::{Access, Action, Actions};
pub use challenge::Challenge;
pub use error::{Error, Refusal};
pub use gate::{Authenticator, Authorizer, Gate, Grant};
pub use identity::{Credentials, Identity};
