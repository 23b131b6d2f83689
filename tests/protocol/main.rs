//! The write protocol under interleavings: what `protocol.md` promises, asked of the domain as it is built.
//!
//! Several logical processes, each a registry of its own over one store (a replica), run under a scheduler
//! that grants one store request at a time. It may stop a process for ever, lose an answer, or apply a
//! request late. After every request the raw store is checked against the invariants; at the end the
//! clients' acknowledgements are judged. The collector is a double written from section 2.11, without any
//! grace or quarantine: harsher than the real one. Nothing here measures time.
//!
//! `ENTREPOT_PROTOCOL_SEEDS` multiplies the seeds of every search; `ENTREPOT_PROTOCOL_SEED` runs the random programs from
//! one seed only.

#![expect(clippy::unwrap_used, reason = "the whole binary is a test")]

mod budgets;
mod collector;
mod exhaustive;
mod invariants;
mod judge;
mod machine;
mod mutations;
mod programs;
mod regressions;
mod requests;
mod run;
mod scenarios;
mod schedule;
mod step;
mod words;
