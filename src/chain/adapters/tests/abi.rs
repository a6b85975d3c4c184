//! Any contract by its ABI.

use super::*;
use crate::domain::FieldType;

#[test]
fn overloads_and_nameless_parameters_of_an_abi_get_names() {
    let abi = JsonAbi::parse([
        "event Paid(address indexed to, uint256)",
        "event Paid(address indexed to, uint256 amount, string note)",
        "event Seen(uint256 a)",
        "event Seen(address a)",
        "event Note(string indexed title)",
    ])
    .unwrap();
    let adapter = Adapter::for_kind(Kind::Abi, Some(&abi)).unwrap();
    let schemas = adapter.schemas();
    let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names[0], "note");
    assert_eq!(&names[1..3], ["paid_2", "paid_3"]);
    assert!(names[3].starts_with("seen_1_") && names[4].starts_with("seen_1_"), "{names:?}");
    assert_eq!(schemas[1].fields[1].name, "_1");
    assert_eq!(schemas[0].fields[0].field_type, FieldType::Bytes, "an indexed string is a hash");
}

#[test]
fn an_abi_that_cannot_be_listened_to_is_refused() {
    let refuse = |text: &str| {
        Adapter::for_kind(Kind::Abi, Some(&JsonAbi::parse([text]).unwrap())).unwrap_err()
    };
    assert!(matches!(refuse("event Quiet(uint256 a) anonymous"), AdapterError::Anonymous { .. }));
    assert!(matches!(refuse("function f()"), AdapterError::NoEvents));
    let long = format!("event {}()", "A".repeat(70));
    assert!(matches!(refuse(&long), AdapterError::Unnameable { .. }));
    assert_eq!(Adapter::for_kind(Kind::Abi, None).unwrap_err(), AdapterError::NoAbi);
}
