//! Columns by name, with an error that says which one is missing or of another type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float32Array, Int16Array, ListArray, RecordBatch, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Int16Type, Int32Type};

/// The type of a column that holds one of a few names.
pub(crate) fn category_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8))
}

/// A column that says, per row, which of `names` it is.
pub(crate) fn categories(keys: impl Iterator<Item = u16>, names: &[impl AsRef<str>]) -> ArrayRef {
    let keys = Int16Array::from_iter_values(keys.map(|key| key as i16));
    let values = StringArray::from_iter_values(names.iter().map(AsRef::as_ref));
    Arc::new(DictionaryArray::<Int16Type>::new(keys, Arc::new(values)))
}

/// Per row the index into the names, and the names in dictionary order.
pub(crate) fn read_categories(batch: &RecordBatch, name: &str) -> Result<(Vec<u16>, Vec<String>), String> {
    let column = column(batch, name)?;
    let wrong = || format!("column {name} is {}, expected a dictionary of strings", column.data_type());
    let dictionary = column.as_dictionary_opt::<Int16Type>().ok_or_else(wrong)?;
    let values = dictionary.values().as_string_opt::<i32>().ok_or_else(wrong)?;
    let keys = dictionary.keys();
    if keys.null_count() > 0 || keys.values().iter().any(|&key| key < 0 || key as usize >= values.len()) {
        return Err(format!("column {name} has rows without a value"));
    }
    let names = values.iter().map(|value| value.unwrap_or_default().to_owned()).collect();
    Ok((keys.values().iter().map(|&key| key as u16).collect(), names))
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    batch.column_by_name(name).ok_or_else(|| format!("there is no column {name}"))
}

pub(crate) fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, String> {
    let column = column(batch, name)?;
    column.as_string_opt().ok_or_else(|| format!("column {name} is {}, expected strings", column.data_type()))
}

pub(crate) fn numbers<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::PrimitiveArray<T>, String> {
    let column = column(batch, name)?;
    column
        .as_primitive_opt::<T>()
        .ok_or_else(|| format!("column {name} is {}, expected {}", column.data_type(), T::DATA_TYPE))
}

pub(crate) fn lists<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ListArray, String> {
    let column = column(batch, name)?;
    column.as_list_opt().ok_or_else(|| format!("column {name} is {}, expected lists", column.data_type()))
}

/// A list column from the rows' lengths and all items one after the other; items may be null if
/// there are nulls among them.
pub(crate) fn list_column(lengths: impl Iterator<Item = usize>, items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), items.is_nullable()));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None))
}

/// The items of row `row` of a list of float32.
pub(crate) fn float_row(list: &ListArray, row: usize) -> Result<Vec<f32>, String> {
    let items = list.value(row);
    let items: &Float32Array = items
        .as_primitive_opt()
        .ok_or_else(|| format!("a list holds {}, expected float32", items.data_type()))?;
    Ok(items.values().to_vec())
}

/// The items of row `row` of a list of int32.
pub(crate) fn integer_row(list: &ListArray, row: usize) -> Result<Vec<i32>, String> {
    let items = list.value(row);
    let items = items
        .as_primitive_opt::<Int32Type>()
        .ok_or_else(|| format!("a list holds {}, expected int32", items.data_type()))?;
    Ok(items.values().to_vec())
}

/// The items of row `row` of a list of strings.
pub(crate) fn string_row(list: &ListArray, row: usize) -> Result<Vec<String>, String> {
    let items = list.value(row);
    let items: &StringArray = items
        .as_string_opt()
        .ok_or_else(|| format!("a list holds {}, expected strings", items.data_type()))?;
    Ok(items.iter().map(|item| item.unwrap_or_default().to_owned()).collect())
}

/// A column of strings.
pub(crate) fn string_column<S: AsRef<str>>(values: impl Iterator<Item = S>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}
