//! Rows as columns: each field of a row is a column of the same name, whose Arrow type follows from the
//! field's Rust type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, PrimitiveArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type};

/// The type of a field, with its Arrow column. `categories` are the names that a [`crate::CategoryId`] refers to.
pub(crate) trait Cell: Sized {
    /// The type's name in messages.
    const EXPECTED: &'static str;
    /// Whether the column may have nulls.
    const NULLABLE: bool = false;

    /// The column of these cells.
    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, categories: &[String]) -> ArrayRef
    where
        Self: 'a;

    /// The cells of a column; none if it has another type.
    fn read(column: &ArrayRef, categories: &[String]) -> Option<Vec<Self>>;
}

/// A struct that is one row of an artifact; [`columns`] implements it.
pub(crate) trait Row: Sized {
    /// The columns of `rows`.
    fn columns<'a>(rows: impl Iterator<Item = &'a Self> + Clone, categories: &[String]) -> Vec<Column>
    where
        Self: 'a;

    /// The rows of a batch.
    ///
    /// # Errors
    /// When a column is missing or has another type.
    fn read(batch: &RecordBatch, categories: &[String]) -> Result<Vec<Self>, String>;
}

/// Implements [`Row`]: each field is a column, in this order; then come the columns of the field after `..`.
macro_rules! columns {
    ($Row:ident { $($field:ident: $Type:ty,)* $(..$inner:ident: $Inner:ty)? }) => {
        impl $crate::column::Row for $Row {
            fn columns<'a>(
                rows: impl Iterator<Item = &'a Self> + Clone,
                categories: &[String],
            ) -> Vec<$crate::column::Column> {
                [
                    vec![$($crate::column::Column::of::<$Type>(
                        stringify!($field), rows.clone().map(|row| &row.$field), categories,
                    )),*],
                    $(<$Inner>::columns(rows.map(|row| &row.$inner), categories),)?
                ].concat()
            }

            fn read(batch: &arrow::array::RecordBatch, categories: &[String]) -> Result<Vec<Self>, String> {
                $(let cells = $crate::column::cells::<$Type>(batch, stringify!($field), categories)?;
                let mut $field = cells.into_iter();)*
                $(let mut $inner = <$Inner as $crate::column::Row>::read(batch, categories)?.into_iter();)?
                let row = |_| Some(Self { $($field: $field.next()?,)* $($inner: $inner.next()?)? });
                Ok((0..batch.num_rows()).map_while(row).collect())
            }
        }
    };
}
pub(crate) use columns;

/// Defines a struct and implements [`Row`] with [`columns`].
macro_rules! row {
    ($(#[$attribute:meta])* pub struct $Row:ident { $($(#[$comment:meta])* pub $field:ident: $Type:ty,)* }) => {
        $(#[$attribute])*
        pub struct $Row { $($(#[$comment])* pub $field: $Type,)* }

        $crate::column::columns! { $Row { $($field: $Type,)* } }
    };
}
pub(crate) use row;

/// A column with its name.
#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) field: Field,
    pub(crate) array: ArrayRef,
}

impl Column {
    /// The column `name` of these cells.
    pub(crate) fn of<'a, T: Cell + 'a>(
        name: &str,
        cells: impl Iterator<Item = &'a T> + Clone,
        categories: &[String],
    ) -> Self {
        Self::new(name, T::write(cells, categories), T::NULLABLE)
    }

    pub(crate) fn new(name: &str, array: ArrayRef, nullable: bool) -> Self {
        Self { field: Field::new(name, array.data_type().clone(), nullable), array }
    }
}

/// The column `name` of a batch.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    batch.column_by_name(name).ok_or_else(|| format!("there is no column {name}"))
}

/// The cells of the column `name`.
pub(crate) fn cells<T: Cell>(
    batch: &RecordBatch,
    name: &str,
    categories: &[String],
) -> Result<Vec<T>, String> {
    let column = column(batch, name)?;
    T::read(column, categories)
        .ok_or_else(|| format!("column {name} is {}, expected {}", column.data_type(), T::EXPECTED))
}

/// A list column from the lengths of its rows and the items of all rows. Items may be null if one is.
pub(crate) fn list_column(
    lengths: impl Iterator<Item = usize>,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), items.is_nullable()));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, nulls))
}

macro_rules! primitive_cells {
    ($($Type:ty, $Arrow:ty, $name:literal;)*) => { $(
        impl Cell for $Type {
            const EXPECTED: &'static str = $name;

            fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
                Arc::new(PrimitiveArray::<$Arrow>::from_iter_values(cells.copied()))
            }

            fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
                Some(column.as_primitive_opt::<$Arrow>()?.values().to_vec())
            }
        }

        impl Cell for Option<$Type> {
            const EXPECTED: &'static str = $name;
            const NULLABLE: bool = true;

            fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
                Arc::new(PrimitiveArray::<$Arrow>::from_iter(cells.copied()))
            }

            fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
                Some(column.as_primitive_opt::<$Arrow>()?.iter().collect())
            }
        }
    )* };
}

primitive_cells! {
    i32, Int32Type, "int32";
    i64, Int64Type, "int64";
    f32, Float32Type, "float32";
    f64, Float64Type, "float64";
}

impl Cell for String {
    const EXPECTED: &'static str = "strings";

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(cells))
    }

    fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
        Some(column.as_string_opt::<i32>()?.iter().map(|cell| cell.unwrap_or_default().to_owned()).collect())
    }
}

impl Cell for Option<String> {
    const EXPECTED: &'static str = "strings";
    const NULLABLE: bool = true;

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
        Arc::new(StringArray::from_iter(cells.map(Option::as_deref)))
    }

    fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
        Some(column.as_string_opt::<i32>()?.iter().map(|cell| cell.map(str::to_owned)).collect())
    }
}

/// Start and end, as `{start, end}`.
impl Cell for (u32, u32) {
    const EXPECTED: &'static str = "{start, end}";

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
        let (starts, ends): (Vec<u32>, Vec<u32>) = cells.copied().unzip();
        let field = |name: &str| Field::new(name, DataType::UInt32, false);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(starts)), Arc::new(UInt32Array::from(ends))];
        Arc::new(StructArray::new(Fields::from(vec![field("start"), field("end")]), columns, None))
    }

    fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
        let field = |name: &str| {
            let column = column.as_struct_opt()?.column_by_name(name)?;
            Some(column.as_primitive_opt::<UInt32Type>()?.values().to_vec())
        };
        Some(field("start")?.into_iter().zip(field("end")?).collect())
    }
}

impl<T: Cell> Cell for Vec<T> {
    const EXPECTED: &'static str = "lists";

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, categories: &[String]) -> ArrayRef
    where
        Self: 'a,
    {
        list_column(cells.clone().map(Vec::len), T::write(cells.flatten(), categories), None)
    }

    fn read(column: &ArrayRef, categories: &[String]) -> Option<Vec<Self>> {
        let list = column.as_list_opt::<i32>()?;
        (0..list.len()).map(|row| T::read(&list.value(row), categories)).collect()
    }
}

impl<T: Cell> Cell for Option<Vec<T>> {
    const EXPECTED: &'static str = "lists";
    const NULLABLE: bool = true;

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, categories: &[String]) -> ArrayRef
    where
        Self: 'a,
    {
        let valid: Vec<bool> = cells.clone().map(Option::is_some).collect();
        let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
        let lengths = cells.clone().map(|cell| cell.as_ref().map_or(0, Vec::len));
        list_column(lengths, T::write(cells.flatten().flatten(), categories), nulls)
    }

    fn read(column: &ArrayRef, categories: &[String]) -> Option<Vec<Self>> {
        let list = column.as_list_opt::<i32>()?;
        let cell = |row| match list.is_valid(row) {
            true => T::read(&list.value(row), categories).map(Some),
            false => Some(None),
        };
        (0..list.len()).map(cell).collect()
    }
}
