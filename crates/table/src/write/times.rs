//! Times as text. A table stores an instant or a date as a number; not every number has a text, and not every zone an offset
//! that this program knows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Schema};

use super::failure::Failure;

/// UTC as an offset.
const UTC: &str = "+00:00";

/// The rows with UTC in place of named time zones, such as `UTC` or `Asia/Tokyo`: the instants are the same.
pub(crate) fn with_instants(rows: &RecordBatch) -> Result<Cow<'_, RecordBatch>, Failure> {
    replaced(rows, |kind| match kind {
        DataType::Timestamp(unit, Some(zone)) if zone.parse::<Tz>().is_err() => {
            Some(DataType::Timestamp(*unit, Some(UTC.into())))
        }
        _ => None,
    })
}

/// The rows with texts in place of times and dates. JSON's library would write the error of a time beyond the calendar in
/// place of the time.
pub(crate) fn with_times_as_text(rows: &RecordBatch) -> Result<Cow<'_, RecordBatch>, Failure> {
    use DataType::{Date32, Date64, Time32, Time64, Timestamp, Utf8};
    let rows = with_instants(rows)?;
    let texts = replaced(&rows, |kind| {
        matches!(kind, Timestamp(..) | Date32 | Date64 | Time32(_) | Time64(_)).then_some(Utf8)
    })?;
    Ok(Cow::Owned(texts.into_owned()))
}

/// The failure of a column with a time that has no text.
pub(crate) fn no_text(column: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Other(format!(
        "the column {column:?} has a value without a text: {error}; choose the format parquet or arrow, which store it as a \
         number"
    ))
}

/// The rows with other types, also those of items and fields, in place of the ones that `other` names.
fn replaced(
    rows: &RecordBatch,
    other: impl Fn(&DataType) -> Option<DataType>,
) -> Result<Cow<'_, RecordBatch>, Failure> {
    let schema = rows.schema_ref();
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| field_with(field, &other)).collect();
    if fields.iter().eq(schema.fields()) {
        return Ok(Cow::Borrowed(rows));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |(column, field): (&ArrayRef, &FieldRef)| {
        cast_with_options(column, field.data_type(), &options).map_err(|error| no_text(field.name(), error))
    };
    let columns = rows.columns().iter().zip(&fields).map(cast).collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(Cow::Owned(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?))
}

fn field_with(field: &FieldRef, other: &dyn Fn(&DataType) -> Option<DataType>) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(kind_with(field.data_type(), other)))
}

fn kind_with(kind: &DataType, other: &dyn Fn(&DataType) -> Option<DataType>) -> DataType {
    let field = |field| field_with(field, other);
    match kind {
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::ListView(item) => DataType::ListView(field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(field(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(field(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(kind_with(values, other)))
        }
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), field(values)),
        leaf => other(leaf).unwrap_or_else(|| leaf.clone()),
    }
}
