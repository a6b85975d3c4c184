//! The command line of meritd.

fn main() {}
