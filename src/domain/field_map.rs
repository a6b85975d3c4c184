//! The fields of one event, by name.
//!
//! There are few of them, with short names, and of nearly all that is read, moved and freed
//! they are the largest part: so they lie in one piece of memory, in the order of their
//! names, with short names in place.

use std::{collections::BTreeMap, fmt, ops::Index};

use compact_str::CompactString;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value as Json;

/// Values by the names of their fields, in the order of these. As JSON it is an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldMap(Vec<(CompactString, Json)>);

/// Most events have no more fields.
const USUAL: usize = 6;

impl FieldMap {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Sets a field. Its value before.
    pub fn insert(&mut self, name: impl Into<CompactString>, value: Json) -> Option<Json> {
        let name = name.into();
        // Whoever reads messages, and most others, come with names in order.
        if self.0.last().is_none_or(|(last, _)| *last < name) {
            self.0.push((name, value));
            return None;
        }
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => self.0.get_mut(at).map(|(_, known)| std::mem::replace(known, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The values, in the order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Json> {
        self.iter().map(|(_, value)| value)
    }
}

impl Index<&str> for FieldMap {
    type Output = Json;

    /// As of a JSON object: what is not there is `null`.
    fn index(&self, name: &str) -> &Json {
        self.get(name).unwrap_or(&Json::Null)
    }
}

impl<N: Into<CompactString>> FromIterator<(N, Json)> for FieldMap {
    fn from_iter<I: IntoIterator<Item = (N, Json)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut map = Self(Vec::with_capacity(fields.size_hint().0));
        for (name, value) in fields {
            map.insert(name, value);
        }
        map
    }
}

impl<N: Into<CompactString>, const COUNT: usize> From<[(N, Json); COUNT]> for FieldMap {
    fn from(fields: [(N, Json); COUNT]) -> Self {
        fields.into_iter().collect()
    }
}

impl From<BTreeMap<String, Json>> for FieldMap {
    fn from(fields: BTreeMap<String, Json>) -> Self {
        fields.into_iter().collect()
    }
}

impl Serialize for FieldMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for FieldMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = FieldMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<FieldMap, A::Error> {
        let mut map = FieldMap(Vec::with_capacity(USUAL));
        while let Some((name, value)) = fields.next_entry::<CompactString, Json>()? {
            map.insert(name, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_an_object_with_sorted_names_of_which_the_last_value_counts() {
        let map: FieldMap = serde_json::from_str(r#"{"b":1,"a":"x","b":[2]}"#).unwrap();
        assert_eq!(map, FieldMap::from([("a", json!("x")), ("b", json!([2]))]));
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":"x","b":[2]}"#);
        assert_eq!((&map["a"], &map["c"]), (&json!("x"), &Json::Null));
        for bad in ["[]", "1", "null", "\"a\"", "{\"a\":1", "{1:2}"] {
            serde_json::from_str::<FieldMap>(bad).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn it_has_what_a_tree_has(
            fields in proptest::collection::vec(("[a-c]{0,3}", any::<u8>()), 0..20),
        ) {
            let (mut map, mut tree) = (FieldMap::new(), BTreeMap::new());
            for (name, value) in fields {
                let value = json!(value);
                prop_assert_eq!(map.insert(&*name, value.clone()), tree.insert(name, value));
                prop_assert_eq!(map.len(), tree.len());
            }
            let pairs = tree.iter().map(|(name, value)| (name.as_str(), value));
            prop_assert!(map.iter().eq(pairs));
            prop_assert!(tree.keys().all(|name| map.get(name) == tree.get(name)));
            prop_assert_eq!(serde_json::to_string(&map).unwrap(), serde_json::to_string(&tree).unwrap());
            prop_assert_eq!(FieldMap::from(tree), map);
        }
    }
}
