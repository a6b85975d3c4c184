//! governance.
