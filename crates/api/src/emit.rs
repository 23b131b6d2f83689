//! Documents written from the table. Both are deterministic, and golden files beside this crate's manifest
//! show every change of the contract in review.

pub mod markdown;
pub mod openapi;
mod schema;
