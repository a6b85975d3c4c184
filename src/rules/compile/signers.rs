//! Who lands what a set gives.

use crate::{
    domain::Name,
    rules::{
        catalog::Catalog,
        document::{Errors, Node},
        error::{Problem, suggest},
        limits,
    },
};

/// One signer, or a list of them.
pub(in crate::rules) fn signers(
    node: &Node<'_>,
    catalog: &Catalog,
    errors: &mut Errors<'_>,
) -> Option<Vec<Name>> {
    if node.value.as_array().is_none() {
        return signer(node, catalog, errors).map(|name| vec![name]);
    }
    let remedy = "name a signer of the configuration, or several";
    let nodes = node.list(errors, "signer", limits::SIGNERS, remedy)?;
    let mut names = Vec::new();
    for node in &nodes {
        names.push(signer(node, catalog, errors)?);
    }
    names.sort();
    names.dedup();
    Some(names)
}

fn signer(node: &Node<'_>, catalog: &Catalog, errors: &mut Errors<'_>) -> Option<Name> {
    let name = node.name(errors, "name a signer of the configuration")?;
    if !catalog.signers.contains(&name) {
        let known = catalog.signers.iter().map(Name::as_str);
        let remedy = suggest(name.as_str(), known, "add it to [[signers]] in the configuration");
        errors.report(node, Problem::UnknownSigner { signer: name.to_string() }, remedy);
        return None;
    }
    Some(name)
}
