//! Logs and metrics, built once.
