//! Whatever is wrong, the binary says where, what and what to do, ends with
//! the right code, and repeats no secret.

mod broker;
mod chain;
mod command_line;
mod data;
mod files;
mod http;
mod keys;
mod place;
mod rules;
mod tools;
