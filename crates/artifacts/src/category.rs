//! Categories and splits: columns that hold one of a few names.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int16Array, StringArray};
use arrow::datatypes::Int16Type;
use serde::{Deserialize, Serialize};

use crate::column::Cell;

/// Most categories of a corpus: in the artifacts a category is an int16.
pub const MAX_CATEGORIES: usize = i16::MAX as usize;

/// Up to so many categories a table has a row for each and a matrix a row and a column for each; of more, it has so many rows
/// and says where the others are. A matrix of 50 categories takes 0.6 MB of a report, which grows with their square, and
/// nobody looks through more rows than these.
pub const LISTED_CATEGORIES: usize = 50;

/// Index of a category in its corpus's list of names, below [`MAX_CATEGORIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId(pub u16);

/// The use of an article.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The model is trained on it.
    Train,
    /// Each epoch is validated on it.
    Validation,
    /// The finished model is evaluated on it.
    Test,
}

impl CategoryId {
    /// The index into the list of names.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Split {
    /// All splits, in the order of their dictionary.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name in the artifacts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl Cell for CategoryId {
    const EXPECTED: &'static str = "a dictionary of the categories in the metadata";

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, categories: &[String]) -> ArrayRef {
        dictionary(cells.map(|cell| cell.0), categories)
    }

    fn read(column: &ArrayRef, categories: &[String]) -> Option<Vec<Self>> {
        let mut places: HashMap<&str, Self> = HashMap::new();
        for (id, name) in (0..).map(Self).zip(categories) {
            places.entry(name.as_str()).or_insert(id);
        }
        read_dictionary(column, |name| places.get(name).copied())
    }
}

impl Cell for Split {
    const EXPECTED: &'static str = "a dictionary of train, validation and test";

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
        dictionary(cells.map(|cell| *cell as u16), &Self::ALL.map(Self::name))
    }

    fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
        read_dictionary(column, |name| Self::ALL.into_iter().find(|split| split.name() == name))
    }
}

fn dictionary(keys: impl Iterator<Item = u16>, names: &[impl AsRef<str>]) -> ArrayRef {
    let keys = Int16Array::from_iter_values(keys.map(|key| key as i16));
    let values = StringArray::from_iter_values(names.iter().map(AsRef::as_ref));
    Arc::new(DictionaryArray::<Int16Type>::new(keys, Arc::new(values)))
}

/// Reads names by `value`. A file's dictionary may have fewer names than the one that was written, in another
/// order: Parquet stores only those that occur.
fn read_dictionary<T: Copy>(column: &ArrayRef, value: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let dictionary = column.as_dictionary_opt::<Int16Type>()?;
    let names = dictionary.values().as_string_opt::<i32>()?;
    let values: Vec<Option<T>> = names.iter().map(|name| value(name?)).collect();
    let keys = dictionary.keys();
    (0..keys.len()).map(|row| *values.get(keys.is_valid(row).then(|| keys.value(row) as usize)?)?).collect()
}
