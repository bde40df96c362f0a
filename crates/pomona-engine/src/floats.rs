//! Columns of float lists, whichever of Arrow's list types they have.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type};

use crate::error::EngineError;

/// Whether a column of this type holds lists of floats.
#[must_use]
pub fn is_list_of_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => item.data_type().is_floating(),
        _ => false,
    }
}

/// The rows of a column of float lists as one row-major block.
#[derive(Debug)]
pub struct FloatRows {
    values: Float32Array,
    offset: usize,
    rows: usize,
    columns: usize,
}

impl FloatRows {
    /// Reads a column; every row must hold as many values as the first, or as `columns` where that is given.
    ///
    /// # Errors
    /// [`EngineError::NotAListOfFloats`] and [`EngineError::ListLength`] (missing rows and values included).
    pub fn read(
        operation: &'static str,
        column: &ArrayRef,
        columns: Option<usize>,
    ) -> Result<Self, EngineError> {
        let wrong_type = || EngineError::NotAListOfFloats {
            operation,
            got: column.data_type().to_string(),
        };
        if !is_list_of_floats(column.data_type()) {
            return Err(wrong_type());
        }
        let rows = column.len();
        let length = |row: usize| match column.data_type() {
            _ if column.is_null(row) => 0,
            DataType::List(_) => column.as_list::<i32>().value_length(row) as usize,
            DataType::LargeList(_) => column.as_list::<i64>().value_length(row) as usize,
            DataType::ListView(_) => column.as_list_view::<i32>().value_size(row) as usize,
            DataType::LargeListView(_) => column.as_list_view::<i64>().value_size(row) as usize,
            _ => column.as_fixed_size_list().value_length() as usize,
        };
        let expected = columns.unwrap_or_else(|| if rows == 0 { 0 } else { length(0) });
        for row in 0..rows {
            let got = length(row);
            if got != expected || got == 0 {
                return Err(EngineError::ListLength {
                    operation,
                    row,
                    expected,
                    got,
                });
            }
        }
        let (items, offset): (ArrayRef, usize) = match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                (Arc::clone(list.values()), list.value_offsets()[0] as usize)
            }
            DataType::LargeList(_) => {
                let list = column.as_list::<i64>();
                (Arc::clone(list.values()), list.value_offsets()[0] as usize)
            }
            DataType::FixedSizeList(..) => {
                let list = column.as_fixed_size_list();
                (Arc::clone(list.values()), list.value_offset(0) as usize)
            }
            DataType::ListView(item) | DataType::LargeListView(item) => {
                let plain = cast(column, &DataType::LargeList(Arc::clone(item)))
                    .map_err(|_| wrong_type())?;
                return Self::read(operation, &plain, columns);
            }
            _ => return Err(wrong_type()),
        };
        let floats = if *items.data_type() == DataType::Float32 {
            items
        } else {
            cast(&items, &DataType::Float32).map_err(|_| wrong_type())?
        };
        let values = floats.as_primitive::<Float32Type>().clone();
        if let Some(nulls) = values.nulls() {
            let missing = (0..rows * expected).find(|&index| nulls.is_null(offset + index));
            if let Some(index) = missing {
                return Err(EngineError::ListLength {
                    operation,
                    row: index / expected,
                    expected,
                    got: expected - 1,
                });
            }
        }
        Ok(Self {
            values,
            offset,
            rows,
            columns: expected,
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in each row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values.values()[self.offset..self.offset + self.rows * self.columns]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int32Array, ListArray};
    use datafusion::arrow::datatypes::{Float64Type, Int32Type};

    fn lists() -> Vec<Option<Vec<Option<f64>>>> {
        vec![
            Some(vec![Some(9.0), Some(9.0)]),
            Some(vec![Some(1.0), Some(2.0)]),
            Some(vec![Some(3.0), Some(4.0)]),
        ]
    }

    #[test]
    fn every_list_type_gives_the_same_rows_sliced_or_not() {
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists()));
        let item = Arc::new(datafusion::arrow::datatypes::Field::new(
            "item",
            DataType::Float64,
            true,
        ));
        for data_type in [
            DataType::List(Arc::clone(&item)),
            DataType::LargeList(Arc::clone(&item)),
            DataType::FixedSizeList(Arc::clone(&item), 2),
            DataType::ListView(Arc::clone(&item)),
        ] {
            let column = cast(&list, &data_type).unwrap().slice(1, 2);
            let rows = FloatRows::read("test", &column, Some(2)).unwrap();
            assert_eq!(rows.values(), [1.0, 2.0, 3.0, 4.0], "{data_type}");
        }
    }

    #[test]
    fn short_missing_and_foreign_lists_are_refused() {
        let mut short = lists();
        short[2] = Some(vec![Some(1.0)]);
        let mut missing = lists();
        missing[1] = None;
        let mut hole = lists();
        hole[1] = Some(vec![Some(1.0), None]);
        for (lists, wrong_row) in [(short, 2), (missing, 1), (hole, 1)] {
            let column: ArrayRef =
                Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists));
            match FloatRows::read("test", &column, None) {
                Err(EngineError::ListLength { row, .. }) => assert_eq!(row, wrong_row),
                other => panic!("{other:?}"),
            }
        }
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(matches!(
            FloatRows::read("test", &numbers, None),
            Err(EngineError::NotAListOfFloats { .. })
        ));
        let ints: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([
            Some(1),
        ])]));
        assert!(matches!(
            FloatRows::read("test", &ints, None),
            Err(EngineError::NotAListOfFloats { .. })
        ));
    }
}
