//! JSON under `/`-separated paths: what governance remembers, alone or within
//! another fold.

use serde::{Serialize, de::DeserializeOwned};

use super::State;

/// Values under paths.
pub trait Paths {
    /// A value as it is written down.
    fn bytes(&self, path: &str) -> Option<&[u8]>;

    /// All paths that start with `prefix`, in order.
    fn under<'s>(&'s self, prefix: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's>;
}

/// Values under paths, to be changed.
pub trait PathsMut: Paths {
    /// Writes a value, or removes it.
    fn write(&mut self, path: &str, value: Option<Box<[u8]>>);
}

impl Paths for State<String> {
    fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.value(path).map(|value| &**value)
    }

    fn under<'s>(&'s self, prefix: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        let from = self.listed(prefix.to_owned()..).map(|(path, _)| path.as_str());
        Box::new(from.take_while(move |path| path.starts_with(prefix)))
    }
}

impl PathsMut for State<String> {
    fn write(&mut self, path: &str, value: Option<Box<[u8]>>) {
        self.set(path.to_owned(), value);
    }
}

/// Values of many shapes.
pub trait JsonPaths: Paths {
    /// Reads a value; a missing path, or one that an older version wrote in
    /// another shape, is `None`.
    #[must_use]
    fn get<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        serde_json::from_slice(self.bytes(path)?).ok()
    }

    /// All paths that start with `prefix`, in order.
    fn keys<'s>(&'s self, prefix: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        self.under(prefix)
    }

    /// Writes a value.
    fn put<T: Serialize + ?Sized>(&mut self, path: &str, value: &T)
    where
        Self: PathsMut,
    {
        // Values are plain structs of this crate with string keys: serialising
        // them to memory can't fail. If one ever did, the path keeps its value.
        if let Ok(value) = serde_json::to_vec(value) {
            self.write(path, Some(value.into()));
        }
    }

    /// Removes a value.
    fn remove(&mut self, path: &str)
    where
        Self: PathsMut,
    {
        self.write(path, None);
    }
}

impl<P: Paths + ?Sized> JsonPaths for P {}
