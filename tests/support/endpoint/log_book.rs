//! What an endpoint was asked.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value as Json;

use super::call::Call;

/// Calls that are remembered.
const REMEMBERED: usize = 20_000;

/// How much it was asked.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// HTTP requests.
    pub http: u64,
    /// Those of them that were batches.
    pub batches: u64,
    /// Calls, those in batches included.
    pub calls: u64,
    by_method: BTreeMap<String, u64>,
}

impl Counts {
    /// Calls of a method.
    pub fn of(&self, method: &str) -> u64 {
        self.by_method.get(method).copied().unwrap_or(0)
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP request that it came in, counted from 1.
    pub http: u64,
    pub method: String,
    pub params: Vec<Json>,
}

#[derive(Default)]
pub(super) struct LogBook {
    pub(super) counts: Counts,
    pub(super) latest: VecDeque<Request>,
}

impl LogBook {
    pub(super) fn note(&mut self, calls: &[Call], batch: bool) {
        self.counts.http += 1;
        self.counts.batches += u64::from(batch);
        for Call { method, params, .. } in calls {
            self.counts.calls += 1;
            *self.counts.by_method.entry(method.clone()).or_default() += 1;
            if self.latest.len() == REMEMBERED {
                self.latest.pop_front();
            }
            let (method, params) = (method.clone(), params.clone());
            self.latest.push_back(Request { http: self.counts.http, method, params });
        }
    }
}
