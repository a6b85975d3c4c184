//! One event as it is found in logs and as it is passed on.

use alloy::{
    dyn_abi::{DynSolEvent, DynSolType},
    json_abi::Event as AbiEvent,
    primitives::{B256, U256},
};

use super::{AdapterError, DecodeReason, fields, spec::EventSpec};
use crate::{
    chain::extent::{self, Excess},
    domain::{EventSchema, FieldMap, FieldSchema, FieldType, Name, Value},
};

/// An event whose types are resolved.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub name: Name,
    pub declaration: String,
    pub topic0: B256,
    pub topics: usize,
    event: DynSolEvent,
    fields: Vec<Field>,
    /// Lists that must be of one length.
    paired: &'static [&'static str],
}

/// One parameter.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    field_type: FieldType,
    /// `Some(n)`: topic n, counted after topic 0. `None`: in the data.
    topic: Option<usize>,
    must_be_zero: bool,
    /// A bool that is given on as 0 or 1.
    as_number: bool,
}

/// The rows of a kind.
pub(super) fn of_rows<'a>(
    rows: impl Iterator<Item = &'a EventSpec>,
) -> Result<Vec<Layout>, AdapterError> {
    rows.map(|row| {
        let event = parse(row.declaration)?;
        let mut layout = Layout { paired: row.paired, ..Layout::new(row.name, &event)? };
        for field in &mut layout.fields {
            field.must_be_zero = row.zero.contains(&field.name.as_str());
            if row.as_numbers.contains(&field.name.as_str()) {
                field.as_number = true;
                field.field_type = FieldType::Uint;
            }
        }
        Ok(layout)
    })
    .collect()
}

/// (topic 0, number of topics) of declarations.
pub(super) fn topics_of(declarations: &[&str]) -> Result<Vec<(B256, usize)>, AdapterError> {
    declarations
        .iter()
        .map(|text| parse(text).map(|event| (event.selector(), event.num_topics())))
        .collect()
}

fn parse(declaration: &str) -> Result<AbiEvent, AdapterError> {
    AbiEvent::parse(declaration).map_err(|error| AdapterError::Unresolvable {
        signature: declaration.to_owned(),
        reason: error.to_string(),
    })
}

impl Layout {
    /// An event under `name`, its parameters' names put into snake_case.
    pub fn new(name: &str, event: &AbiEvent) -> Result<Self, AdapterError> {
        let signature = event.signature();
        if event.anonymous {
            return Err(AdapterError::Anonymous { signature });
        }
        let unresolvable =
            |reason: String| AdapterError::Unresolvable { signature: signature.clone(), reason };
        let (mut indexed, mut body, mut list) = (Vec::new(), Vec::new(), Vec::<Field>::new());
        let names = fields::member_names(event.inputs.iter().map(|input| input.name.as_str()));
        for (input, name) in event.inputs.iter().zip(names) {
            let solidity = DynSolType::parse(&input.selector_type())
                .map_err(|error| unresolvable(error.to_string()))?;
            let whole = fields::field_type(&solidity, &input.components);
            let (field_type, topic) = if input.indexed {
                indexed.push(solidity.clone());
                let hashed = !matches!(
                    solidity,
                    DynSolType::Bool
                        | DynSolType::Int(_)
                        | DynSolType::Uint(_)
                        | DynSolType::Address
                        | DynSolType::FixedBytes(_)
                        | DynSolType::Function
                );
                // Of an indexed dynamic value, only the hash is in the log.
                (if hashed { FieldType::Bytes } else { whole }, Some(indexed.len() - 1))
            } else {
                body.push(solidity);
                (whole, None)
            };
            list.push(Field { name, field_type, topic, must_be_zero: false, as_number: false });
        }
        let topic0 = event.selector();
        let resolved = DynSolEvent::new(Some(topic0), indexed, DynSolType::Tuple(body))
            .ok_or_else(|| unresolvable("it has more than three indexed parameters".into()))?;
        let name = Name::new(name).map_err(|invalid| AdapterError::Unnameable {
            signature: signature.clone(),
            name: invalid.given,
        })?;
        Ok(Self {
            name,
            declaration: event.full_signature(),
            topic0,
            topics: event.num_topics(),
            event: resolved,
            fields: list,
            paired: &[],
        })
    }

    /// What events of this layout look like.
    pub fn schema(&self) -> EventSchema {
        let fields = self.fields.iter().filter(|field| !field.must_be_zero);
        EventSchema {
            name: self.name.clone(),
            fields: fields
                .map(|field| FieldSchema {
                    name: field.name.clone(),
                    field_type: field.field_type.clone(),
                })
                .collect(),
        }
    }

    /// Whether it is one of several meanings of its declaration.
    #[cfg(test)]
    pub fn has_conditions(&self) -> bool {
        self.fields.iter().any(|field| field.must_be_zero)
    }

    /// Whether the topics that must be zero are.
    pub fn applies(&self, topics: &[B256]) -> bool {
        self.fields.iter().filter(|field| field.must_be_zero).all(|field| {
            field.topic.and_then(|index| topics.get(index + 1)).is_some_and(B256::is_zero)
        })
    }

    /// The fields of a log with these topics and data.
    pub fn decode(&self, topics: &[B256], data: &[u8]) -> Result<FieldMap, DecodeReason> {
        extent::bounded(self.event.body(), data)
            .map_err(|Excess| DecodeReason::Excessive { declaration: self.declaration.clone() })?;
        let decoded =
            self.event.decode_log_parts(topics.iter().copied(), data).map_err(|source| {
                DecodeReason::Data { declaration: self.declaration.clone(), source }
            })?;
        let (mut indexed, mut body) = (decoded.indexed.into_iter(), decoded.body.into_iter());
        let mut values = FieldMap::new();
        for field in &self.fields {
            let value = if field.topic.is_some() { indexed.next() } else { body.next() };
            // One value per declared type is what the decoder promises.
            let Some(value) = value else { continue };
            if !field.must_be_zero {
                let value = match fields::value(&field.field_type, value) {
                    Value::Bool(set) if field.as_number => Value::Uint(U256::from(set)),
                    value => value,
                };
                values.insert(field.name.clone(), value.to_json());
            }
        }
        self.check_pairs(&values)?;
        Ok(values)
    }

    /// Lists that belong together, entry by entry, have one length.
    fn check_pairs(&self, values: &FieldMap) -> Result<(), DecodeReason> {
        let lengths: Vec<(&str, usize)> = self
            .paired
            .iter()
            .filter_map(|name| Some((*name, values.get(name)?.as_array()?.len())))
            .collect();
        if lengths.iter().all(|(_, length)| lengths.first().is_some_and(|(_, l)| l == length)) {
            return Ok(());
        }
        let lists: Vec<String> =
            lengths.iter().map(|(name, length)| format!("`{name}` has {length}")).collect();
        Err(DecodeReason::UnequalLists {
            declaration: self.declaration.clone(),
            lists: lists.join(", "),
        })
    }
}
