//! Times in a named time zone, such as `UTC` or `Asia/Tokyo`. A table stores their instant; text has it in UTC.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::error::ArrowError;

/// UTC as an offset.
const UTC: &str = "+00:00";

/// The rows with UTC in place of named time zones, whose offsets this program does not know.
pub(crate) fn with_instants(rows: &RecordBatch) -> Result<Cow<'_, RecordBatch>, ArrowError> {
    let schema = rows.schema_ref();
    let fields: Vec<FieldRef> = schema.fields().iter().map(field_with_instants).collect();
    if fields.iter().eq(schema.fields()) {
        return Ok(Cow::Borrowed(rows));
    }
    let columns = rows.columns().iter().zip(&fields).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map(Cow::Owned)
}

fn field_with_instants(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(kind_with_instants(field.data_type())))
}

fn kind_with_instants(kind: &DataType) -> DataType {
    let field = field_with_instants;
    match kind {
        DataType::Timestamp(unit, Some(zone)) if zone.parse::<Tz>().is_err() => {
            DataType::Timestamp(*unit, Some(UTC.into()))
        }
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::ListView(item) => DataType::ListView(field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(field(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(field(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(kind_with_instants(values)))
        }
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), field(values)),
        other => other.clone(),
    }
}
