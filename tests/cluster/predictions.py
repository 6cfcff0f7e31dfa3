"""Compares predictions bit for bit, by id."""

import pyarrow as pa
import pyarrow.compute as pc


def differences(found: pa.Table, expected: pa.Table) -> dict[str, int]:
    """The number of rows that differ, for each column that differs. Both tables must have the same ids, each once."""
    found, expected = by_id(found), by_id(expected)
    assert found.num_rows == expected.num_rows, f"{found.num_rows} rows, expected {expected.num_rows}"
    assert found["id"].equals(expected["id"]), "the rows have other ids"
    assert pc.count_distinct(found["id"]).as_py() == found.num_rows, "a row is there twice"
    assert types(found) == types(expected)
    counts = {name: differing(found[name], expected[name]) for name in expected.column_names}
    return {name: count for name, count in counts.items() if count > 0}


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """Fails unless every row is there once with the same bits in every column."""
    assert differences(found, expected) == {}


def by_id(table: pa.Table) -> pa.Table:
    """The rows in the order of their ids, with a column for each category's probability."""
    return table.sort_by("id").flatten().combine_chunks()


def types(table: pa.Table) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in table.schema]


def differing(found: pa.ChunkedArray, expected: pa.ChunkedArray) -> int:
    found, expected = bits(found), bits(expected)
    both_null = pc.and_(pc.is_null(found), pc.is_null(expected))
    same = pc.or_(both_null, pc.fill_null(pc.equal(found, expected), False))
    return found.length() - pc.sum(same.cast(pa.int64())).as_py()


def bits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A float's bits as an integer: 0.0 and -0.0 differ, and a NaN equals itself."""
    if not pa.types.is_float32(column.type):
        return column
    return pa.chunked_array([chunk.view(pa.int32()) for chunk in column.chunks], pa.int32())
