//! Topics 0 as they are published, against those that the tables give.

use std::collections::BTreeSet;

use super::*;

/// Name, first four bytes of topic 0, and how many parameters are indexed.
#[rustfmt::skip]
const PUBLISHED: &[(&str, u32, &[usize])] = &[
    ("proposal_created", 0x7d84_a626, &[0, 2]),
    ("proposal_queued", 0x9a2e_42fd, &[0, 1]),
    ("proposal_executed", 0x712a_e138, &[0, 1]),
    ("proposal_canceled", 0x789c_f55b, &[0, 1]),
    ("vote_cast", 0xb8e1_3888, &[1, 2]),
    ("vote_cast_with_params", 0xe2ba_bfba, &[1]),
    ("vote_cast", 0x8778_5633, &[0]),
    ("override_vote_cast", 0x4954_9bd0, &[1]),
    ("vote_reduced", 0xa3e9_dc6f, &[1]),
    ("proposal_extended", 0x541f_725f, &[1]),
    ("voting_delay_set", 0xc565_b045, &[0]),
    ("voting_period_set", 0x7e3f_7f07, &[0]),
    ("proposal_threshold_set", 0xccb4_5da8, &[0]),
    ("quorum_numerator_updated", 0x0553_476b, &[0]),
    ("super_quorum_numerator_updated", 0x334c_4c5e, &[0]),
    ("timelock_change", 0x08f7_4ea4, &[0]),
    ("new_implementation", 0xd604_de94, &[0]),
    ("proposal_created_with_requirements", 0xd9d1_2651, &[1]),
    ("proposal_created_with_requirements", 0x6af0_134f, &[0, 2]),
    ("proposal_vetoed", 0xde0c_ea2a, &[0]),
    ("proposal_objection_period_set", 0x6553_d98d, &[1]),
    ("proposal_updated", 0xd92c_c135, &[2]),
    ("vote_cast_with_client_id", 0x651c_c9d7, &[3]),
    ("refundable_vote", 0xfabe_f36f, &[1]),
    ("proposal_candidate_created", 0x092e_72bc, &[1]),
    ("signature_added", 0x049e_3f4e, &[1]),
    ("feedback_sent", 0x6677_7d39, &[1]),
    ("candidate_feedback_sent", 0x1e07_1c52, &[2]),
    ("proposal_created", 0xc8df_7ff2, &[0, 2]),
    ("proposal_created", 0x505e_e268, &[0, 3]),
    ("proposal_deadline_updated", 0xa970_3236, &[0]),
    ("proposal_type_updated", 0x246d_525f, &[0, 1]),
    ("alligator_vote_cast", 0x06ef_67f5, &[2]),
    ("alligator_votes_cast", 0xf155_d545, &[1]),
    ("delegate_changed", 0x3134_e8a2, &[3]),
    ("delegate_votes_changed", 0xdec2_bacd, &[1]),
    ("minted", 0xddf2_52ad, &[2, 3]),
    ("burned", 0xddf2_52ad, &[2, 3]),
    ("transferred", 0xddf2_52ad, &[2, 3]),
    ("minted", 0xc3d5_8168, &[3]),
    ("burned", 0xc3d5_8168, &[3]),
    ("transferred", 0xc3d5_8168, &[3]),
    ("minted_batch", 0x4a39_dc06, &[3]),
    ("burned_batch", 0x4a39_dc06, &[3]),
    ("transferred_batch", 0x4a39_dc06, &[3]),
    ("minted_range", 0xdeaa_91b6, &[3]),
    ("burned_range", 0xdeaa_91b6, &[3]),
    ("transferred_range", 0xdeaa_91b6, &[3]),
    ("minted", 0x1b3d_7edb, &[3]),
    ("burned", 0x1b3d_7edb, &[3]),
    ("transferred", 0x1b3d_7edb, &[3]),
    ("locked", 0x032b_c66b, &[0]),
    ("unlocked", 0xf27b_6ce5, &[0]),
    ("issued", 0x135f_fb33, &[3]),
    ("metadata_update", 0xf8e1_a15a, &[0]),
    ("batch_metadata_update", 0x6bd5_c950, &[0]),
    ("call_scheduled", 0x4cf4_410c, &[2]),
    ("call_executed", 0xc261_7efa, &[2]),
    ("call_salt", 0x20fd_a5fd, &[1]),
    ("cancelled", 0xbaa1_eb22, &[1]),
    ("min_delay_change", 0x11c2_4f4e, &[0]),
    ("queue_transaction", 0x76e2_796d, &[2]),
    ("execute_transaction", 0xa560_e319, &[2]),
    ("cancel_transaction", 0x2fff_c091, &[2]),
    ("attested", 0x8bf4_6bf4, &[3]),
    ("revoked", 0xf930_a6e2, &[3]),
    ("timestamped", 0x5aaf_ceeb, &[2]),
    ("revoked_offchain", 0x92a1_f7a4, &[3]),
    ("upgraded", 0xbc7c_d75a, &[0, 1]),
    ("admin_changed", 0x7e64_4d79, &[0]),
    ("beacon_upgraded", 0x1cf3_b03a, &[1]),
    ("role_granted", 0x2f87_8811, &[3]),
    ("role_revoked", 0xf639_1f5c, &[3]),
    ("ownership_transferred", 0x8be0_079c, &[2]),
    ("paused", 0x62e7_8cea, &[0]),
    ("unpaused", 0x5db9_ee0a, &[0]),
    // Of their standards or their contracts.
    ("approval", 0x8c5b_e1e5, &[3]),
    ("approval_for_all", 0x1730_7eab, &[2]),
    ("uri", 0x6bb7_ff70, &[1]),
    ("approval", 0xb3fd_5071, &[3]),
    ("approval_for_all", 0xceb5_76d9, &[2]),
    ("role_admin_changed", 0xbd79_b86f, &[3]),
    ("ownership_transfer_started", 0x38d1_6b8c, &[2]),
    ("late_quorum_vote_extension_set", 0x7ca4_ac11, &[0]),
    ("new_admin", 0x7161_4071, &[1]),
    ("new_pending_admin", 0x69d7_8e38, &[1]),
    ("new_delay", 0x948b_1f6a, &[1]),
    ("new_admin", 0xf9ff_abca, &[0, 2]),
    ("new_pending_admin", 0xca4f_2f25, &[0, 2]),
    ("proposal_created", 0xe1a1_7f47, &[0, 3]),
    ("proposal_created_with_requirements", 0x0cc4_b35c, &[0]),
    ("proposal_created_on_timelock_v1", 0x9fb4_e520, &[0]),
    ("proposal_transactions_updated", 0x2588_d794, &[2]),
    ("proposal_description_updated", 0xb326_c35b, &[2]),
    ("proposal_candidate_updated", 0x9180_6362, &[1]),
    ("proposal_candidate_canceled", 0x535f_3f19, &[1]),
    ("proposal_guardian_set", 0xeabe_7d6d, &[0]),
    ("proposal_guardian_set", 0x0df5_c50a, &[0]),
    ("quorum_updated", 0x6784_e9bc, &[0]),
    ("achievement_unlocked", 0x8ca3_d647, &[2]),
    ("achievement_revoked", 0x6685_528e, &[2]),
    ("achievement_skipped", 0xf1ed_2a67, &[2]),
    ("achievement_defined", 0x082e_0a9e, &[1]),
];

fn rows(kind: Kind) -> BTreeSet<(String, u32, usize)> {
    let first_bytes = |topic0: B256| u32::from_be_bytes(topic0[..4].try_into().unwrap());
    standard(kind)
        .layouts
        .iter()
        .map(|row| (row.name.to_string(), first_bytes(row.topic0), row.topics - 1))
        .collect()
}

#[test]
fn every_row_has_the_published_topic0() {
    let published: BTreeSet<_> = PUBLISHED
        .iter()
        .flat_map(|(name, topic0, indexed)| {
            indexed.iter().map(|indexed| ((*name).to_owned(), *topic0, *indexed))
        })
        .collect();
    let ours: BTreeSet<_> = Kind::STANDARD.into_iter().flat_map(rows).collect();
    let hex =
        |(name, topic0, indexed): &(String, u32, usize)| format!("{name} {topic0:08x} {indexed}");
    let missing: Vec<_> = published.difference(&ours).map(hex).collect();
    let unheard: Vec<_> = ours.difference(&published).map(hex).collect();
    assert_eq!((missing, unheard), (vec![], vec![]));
}

#[test]
fn no_two_rows_of_a_kind_claim_one_log() {
    for kind in Kind::STANDARD {
        let adapter = standard(kind);
        for claims in adapter.by_topics.values() {
            let rows: Vec<_> = claims.iter().map(|index| &adapter.layouts[*index]).collect();
            let (last, before) = rows.split_last().unwrap();
            assert!(!last.has_conditions(), "{kind}: {}", last.name);
            for row in before {
                assert!(row.has_conditions(), "{kind}: {} hides {}", row.name, last.name);
                assert_eq!(row.declaration, last.declaration, "{kind}");
            }
        }
    }
}

#[test]
fn every_condition_of_a_row_names_parameters_of_its_type() {
    for row in Kind::STANDARD.into_iter().flat_map(tables::of).copied().flatten() {
        let event = alloy::json_abi::Event::parse(row.declaration).unwrap();
        let check = |names: &[&str], accepts: fn(&alloy::json_abi::EventParam) -> bool| {
            for name in names {
                let found = event.inputs.iter().find(|input| input.name == **name);
                assert!(found.is_some_and(accepts), "{name} of {}", row.declaration);
            }
        };
        check(row.zero, |input| input.ty == "address" && input.indexed);
        check(row.as_numbers, |input| input.ty == "bool");
        check(row.paired, |input| input.ty.ends_with("[]") && !input.indexed);
    }
}

#[test]
fn parameters_of_a_name_are_of_one_type_on_all_governors() {
    let governors = [
        Kind::Governor,
        Kind::GovernorBravo,
        Kind::GovernorAlpha,
        Kind::Nouns,
        Kind::OptimismGovernor,
    ];
    let needed: [(&str, &[&str]); 5] = [
        ("proposal_created", &["description", "proposal_id", "proposer", "vote_end", "vote_start"]),
        ("vote_cast", &["proposal_id", "support", "voter", "weight"]),
        ("proposal_queued", &["eta", "proposal_id"]),
        ("proposal_executed", &["proposal_id"]),
        ("proposal_canceled", &["proposal_id"]),
    ];
    for kind in governors {
        let schemas = standard(kind).schemas();
        for (name, fields) in needed {
            let schema = schemas.iter().find(|schema| schema.name.as_str() == name).unwrap();
            for field in fields {
                let expected = match *field {
                    "voter" | "proposer" => crate::domain::FieldType::Address,
                    "description" => crate::domain::FieldType::Text,
                    _ => crate::domain::FieldType::Uint,
                };
                assert_eq!(schema.field(field), Some(&expected), "{kind}: {name}.{field}");
            }
        }
    }
}

#[test]
fn fields_that_only_some_rows_of_a_name_have_are_not_promised() {
    let schemas = standard(Kind::OptimismGovernor).schemas();
    let created = schemas.iter().find(|schema| schema.name.as_str() == "proposal_created").unwrap();
    assert_eq!(created.field("targets"), None, "proposals of a voting module have none");
    assert_eq!(created.field("voting_module"), None);
    for kind in Kind::STANDARD {
        let names: Vec<_> =
            standard(kind).schemas().into_iter().map(|schema| schema.name).collect();
        let mut once = names.clone();
        once.dedup();
        assert_eq!(names, once, "{kind}");
    }
}
