//! The three journeys of the design, told aloud: each goes down through the layers once and up once. The
//! comments are the story; the assertions are what a client, the store and another replica see of it.

mod manifest_by_tag;
mod redirected_blob;
mod resumable_push;
