//! The dashboards and alert rules against the catalogue: a metric that is
//! renamed or added takes its panels along. What the queries mean is for
//! promtool (`dashboards/README.md`); what they name is checked here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::HashSet, fs, path::Path};

use serde_json::Value;

use super::{CATALOGUE, Kind, MetricInfo};

/// Metrics that no panel shows, each with the reason. None today.
const NOT_SHOWN: &[(&str, &str)] = &[];

const PANEL_TYPES: &[&str] = &["bargauge", "row", "stat", "state-timeline", "table", "timeseries"];

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/overview.json")).expect("overview.json is JSON")
}

/// All panels but the rows that part them.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").collect()
}

fn queries<'a>(panels: &[&'a Value]) -> Vec<&'a str> {
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().expect("a target has an expr")).collect()
}

/// Each of our metrics' names in a text, with what comes after it.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices("meritd_").filter(move |(at, _)| !text[..*at].ends_with(word)).map(
        move |(at, _)| {
            let rest = &text[at..];
            rest.split_at(rest.find(|c| !word(c)).unwrap_or(rest.len()))
        },
    )
}

/// The metric that a series belongs to.
fn known(name: &str) -> Option<&'static MetricInfo> {
    CATALOGUE.iter().find(|info| {
        let ends: &[&str] =
            if info.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        name.strip_prefix(info.name).is_some_and(|end| ends.contains(&end))
    })
}

#[test]
fn every_metric_that_a_file_names_is_in_the_catalogue() {
    for path in ["grafana/overview.json", "prometheus/alerts.yml", "prometheus/alerts_test.yml"] {
        let text = text(path);
        let mut found = 0;
        for (name, _) in names(&text) {
            assert!(known(name).is_some(), "{path}: {name} is no metric of meritd");
            found += 1;
        }
        assert!(found > 10, "{path} names {found} metrics");
    }
}

#[test]
fn every_metric_is_shown_somewhere() {
    let dashboard = dashboard();
    let queries = queries(&panels(&dashboard)).join("\n");
    let shown: HashSet<_> =
        names(&queries).filter_map(|(name, _)| known(name)).map(|info| info.name).collect();
    for info in CATALOGUE {
        let excused = NOT_SHOWN.iter().any(|(name, _)| *name == info.name);
        assert!(shown.contains(info.name) != excused, "{}: in a panel or excused", info.name);
    }
}

#[test]
fn every_panel_says_what_it_shows_and_what_to_do() {
    let dashboard = dashboard();
    let mut ids = HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty(), "a panel without a title: {panel}");
        assert!(ids.insert(panel["id"].as_u64().expect(title)), "{title}: its id stands twice");
        assert!(PANEL_TYPES.contains(&panel["type"].as_str().unwrap()), "{title}: its type");
    }
    for panel in panels(&dashboard) {
        let title = &panel["title"];
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 60), "{title}");
        let defaults = &panel["fieldConfig"]["defaults"];
        assert!(defaults["unit"].as_str().is_some_and(|unit| !unit.is_empty()), "{title}: unit");
        assert!(defaults["thresholds"]["steps"].is_array(), "{title}: thresholds");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn queries_ask_only_for_the_chosen_daemons_by_labels_that_exist() {
    let dashboard = dashboard();
    for query in queries(&panels(&dashboard)) {
        for (name, rest) in names(query) {
            let rest = rest.strip_prefix(r#"{job=~"$job", instance=~"$instance""#).expect(query);
            let more = rest.split('}').next().unwrap();
            let labels = more.split(',').filter_map(|one| one.split('=').next()).map(str::trim);
            for label in labels.filter(|label| !label.is_empty()) {
                assert!(known(name).unwrap().labels.contains(&label), "{label}: {query}");
            }
        }
        // Each rate's range follows the scrape interval and the time shown.
        let rates = query.matches("rate(").count();
        assert!(query.matches("[$__rate_interval]").count() >= rates, "{query}");
    }
}

#[test]
fn every_alert_tells_what_to_do_and_has_a_case_that_fires_and_a_quiet_one() {
    let (rules, tests) = (text("prometheus/alerts.yml"), text("prometheus/alerts_test.yml"));
    let alerts: Vec<_> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for key in ["severity: ", "summary: ", "action: "] {
            assert!(alert.contains(key), "{name} has no {key}");
        }
        let cases: Vec<_> =
            tests.split(&format!("alertname: {name}\n")).skip(1).map(str::trim_start).collect();
        assert!(cases.iter().any(|case| case.starts_with("exp_alerts: []")), "{name}: quiet");
        assert!(cases.iter().any(|case| case.starts_with("exp_alerts:\n")), "{name}: fires");
    }
}
