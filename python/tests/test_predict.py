"""Predictions: those of midashi-predict on a file, to the last bit, however the rows are cut and typed."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pyarrow.compute
import pytest
from conftest import pid_of

from midashi import Classifier, MidashiError
from midashi.schema import added_columns


def test_a_table_gets_the_predictions_of_the_file(classifier, titles, predicted):
    answer = classifier.predict(titles)
    assert answer.equals(predicted)
    assert set(answer["predicted"].to_pylist()) >= {"sports-watch", "movie-enter"}


@pytest.mark.parametrize("rows", [1, 7, 500])
def test_batches_of_any_size_get_the_same_predictions(classifier, titles, predicted, rows):
    batches = titles.to_batches(max_chunksize=rows)
    answers = list(classifier.predict(iter(batches)))
    assert [answer.num_rows for answer in answers] == [batch.num_rows for batch in batches]
    assert pa.Table.from_batches(answers).equals(predicted)


def test_a_batch_gives_a_batch_and_a_reader_an_iterator(classifier, titles, predicted):
    [batch] = titles.slice(0, 20).combine_chunks().to_batches()
    answer = classifier.predict(batch)
    assert isinstance(answer, pa.RecordBatch)
    assert pa.Table.from_batches([answer]).equals(predicted.slice(0, 20))
    reader = pa.RecordBatchReader.from_batches(titles.schema, titles.to_batches(max_chunksize=600))
    answers = classifier.predict(reader)
    assert next(answers).num_rows == 600
    assert [answer.num_rows for answer in answers] == [600, 240]


def test_a_batch_is_answered_while_the_stream_is_open(classifier, titles):
    batches = titles.to_batches(max_chunksize=10)[:3]
    pids = set()
    for batch in batches:
        assert classifier.predict(batch).num_rows == 10
        pids.add(pid_of(classifier))
    assert len(pids) == 1, "one process, one model in memory"


def test_a_hundred_thousand_rows_are_one_batch(classifier, titles, predicted):
    times = 70
    many = pa.concat_tables([titles] * times).combine_chunks()
    [batch] = many.to_batches()
    assert batch.num_rows == 100_800
    answer = pa.Table.from_batches([classifier.predict(batch)])
    assert answer.column_names == ["id", "title", "predicted", "probability"]
    assert answer.equals(pa.concat_tables([predicted] * times))


def test_a_text_without_words_has_no_category(classifier):
    table = pa.table({"title": ["逆転勝利の日本代表", None, "", " \n"]})
    answer = classifier.predict(table)
    assert [category is None for category in answer["predicted"].to_pylist()] == [False, True, True, True]
    assert [number is None for number in answer["probability"].to_pylist()] == [False, True, True, True]
    assert answer["title"].to_pylist() == table["title"].to_pylist()
    nothing = classifier.predict(pa.table({"title": pa.nulls(3, pa.string())}))
    assert nothing["predicted"].null_count == 3


def test_empty_tables_and_batches_keep_their_place(classifier, titles):
    empty = titles.slice(0, 0)
    for table in (empty, pa.Table.from_batches([], titles.schema)):
        answer = classifier.predict(table)
        assert answer.num_rows == 0
        assert answer.schema.names == ["id", "title", "predicted", "probability"]
    [batch] = titles.slice(0, 5).combine_chunks().to_batches()
    answers = list(classifier.predict([batch.slice(0, 0), batch, batch.slice(0, 0)]))
    assert [answer.num_rows for answer in answers] == [0, 5, 0]
    assert list(classifier.predict([])) == []
    assert list(classifier.predict(pa.RecordBatchReader.from_batches(titles.schema, []))) == []


KINDS = [pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
if hasattr(pa, "string_view"):
    KINDS.append(pa.string_view())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_type_of_text_is_read(classifier, titles, predicted, kind):
    few, expected = titles.slice(0, 100), predicted.slice(0, 100)
    text = few["title"].combine_chunks()
    text = text.dictionary_encode() if pa.types.is_dictionary(kind) else text.cast(kind)
    answer = classifier.predict(few.set_column(1, "title", text))
    assert answer["title"].cast(pa.string()).to_pylist() == expected["title"].to_pylist()
    assert answer.select([2, 3]).equals(expected.select([2, 3]))


def test_each_batch_may_have_a_dictionary_of_its_own(classifier, titles, predicted):
    batches = [
        pa.RecordBatch.from_arrays([batch["title"].dictionary_encode()], ["title"])
        for batch in titles.slice(0, 300).to_batches(max_chunksize=100)
    ]
    answer = pa.Table.from_batches(list(classifier.predict(batches)))
    assert answer["title"].cast(pa.string()).to_pylist() == titles["title"].to_pylist()[:300]
    assert answer["predicted"].to_pylist() == predicted["predicted"].to_pylist()[:300]


def test_other_columns_and_the_metadata_stay(classifier):
    columns = {
        "title": ["逆転勝利の日本代表", "新しい料理の本"],
        "when": pa.array([datetime.datetime(2026, 1, 2, 3), None], pa.timestamp("us", "Asia/Tokyo")),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "tags": [["a", None], []],
        "nested": [{"x": 1, "y": "い"}, None],
        "bytes": [b"\0\xff", None],
        "flag": [True, None],
    }
    table = pa.table(columns).replace_schema_metadata({"source": "a test"})
    answer = classifier.predict(table)
    assert answer.select(range(len(columns))).equals(table)
    assert answer.schema.metadata == {b"source": b"a test"}


@pytest.mark.parametrize(
    "settings",
    [{}, {"top": 3}, {"all": True}, {"prefix": "bert_", "top": 2}],
    ids=str,
)
def test_the_added_columns_are_known_without_the_program(program, model, titles, settings):
    few = titles.slice(0, 200)
    with Classifier(model, program=program, threads=1, **settings) as classifier:
        answer = classifier.predict(few)
        expected = added_columns(classifier.settings)
    assert answer.schema.names == few.schema.names + expected.names
    assert [field.type for field in answer.schema][2:] == [field.type for field in expected]
    probability = answer[settings.get("prefix", "") + "probability"].to_pylist()
    if "top" in settings:
        top = answer[settings.get("prefix", "") + "top"].to_pylist()
        assert [len(row) for row in top] == [settings["top"]] * 200
        assert [row[0]["probability"] for row in top] == probability
    if "all" in settings:
        rows = answer["probabilities"].to_pylist()
        assert [max(row.values()) for row in rows] == probability
        assert all(abs(sum(row.values()) - 1) < 1e-5 for row in rows)


def test_the_categories_columns_need_the_model_here(tmp_path):
    settings = Classifier(tmp_path, all=True).settings
    with pytest.raises(MidashiError, match="all=True: .*labels.json cannot be read on this machine"):
        added_columns(settings)


def test_below_the_threshold_there_is_no_category(program, model, titles, predicted):
    threshold = sorted(predicted["probability"].to_pylist())[500]
    with Classifier(model, program=program, threads=1, threshold=threshold) as classifier:
        answer = classifier.predict(titles)
    assert answer["probability"].equals(predicted["probability"])
    assert answer["predicted"].null_count == 500
    unsure = [number < threshold for number in predicted["probability"].to_pylist()]
    assert [category is None for category in answer["predicted"].to_pylist()] == unsure


def test_named_columns_and_int8(program, model, titles, predicted):
    renamed = titles.rename_columns(["a", "b"])
    with Classifier(model, program=program, text_column="b", precision="int8", threads=1) as classifier:
        answer = classifier.predict(renamed)
    same = pa.compute.equal(answer["predicted"], predicted["predicted"])
    assert 0.95 < pa.compute.mean(same.cast(pa.int8())).as_py(), "int8 differs in few texts"
    assert answer["probability"] != predicted["probability"], "int8 was used"


def test_other_columns_start_another_process(classifier, titles, predicted):
    classifier.predict(titles.slice(0, 10))
    first = pid_of(classifier)
    answer = classifier.predict(titles.slice(0, 10).append_column("n", pa.array(range(10))))
    second = pid_of(classifier)
    assert first != second
    assert answer.column_names == ["id", "title", "n", "predicted", "probability"]
    # Another metadata, such as pandas' index, does not.
    classifier.predict(titles.slice(0, 5).append_column("n", pa.array(range(5))).replace_schema_metadata({"a": "b"}))
    assert pid_of(classifier) == second


def test_a_stream_has_one_schema(classifier, titles):
    [batch] = titles.slice(0, 5).combine_chunks().to_batches()
    other = pa.RecordBatch.from_arrays([pa.array(["a"])], ["title"])
    message = "columns title: string; expected those of the first: id: string, title: string"
    with pytest.raises(ValueError, match=message):
        list(classifier.predict([batch, other]))
    assert classifier.predict(other).num_rows == 1


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            pa.schema([("title", pa.string())]),
            pa.schema([pa.field("title", pa.string(), nullable=False)]),
            "columns title: string not null; expected those of the first: title: string",
        ),
        (
            pa.schema([pa.field("title", pa.string(), metadata={"unit": "a"})]),
            pa.schema([pa.field("title", pa.string(), metadata={"unit": "b"})]),
            r"unit: 'b'(.|\n)*expected those of the first: (.|\n)*unit: 'a'",
        ),
        (
            pa.schema([("title", pa.string()), ("n", pa.struct([pa.field("x", pa.string(), metadata={"unit": "a"})]))]),
            pa.schema([("title", pa.string()), ("n", pa.struct([pa.field("x", pa.string())]))]),
            r"expected those of the first: (.|\n)*unit: 'a'",
        ),
    ],
    ids=["null", "metadata", "metadata in a type"],
)
def test_the_message_about_another_schema_shows_the_difference(classifier, first, second, message):
    batches = [pa.RecordBatch.from_pylist([], schema) for schema in (first, second)]
    with pytest.raises(ValueError, match=message):
        list(classifier.predict(batches))
