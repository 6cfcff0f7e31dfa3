"""Checks the fine-tuned model of a run from Python, as somebody who takes it elsewhere would use it.

    python classifier_onnx.py artifacts/RUN

Reads what `train` and `evaluate` wrote, without a line of Midashi's code, and confirms:
  - model/classifier.onnx and model/training.onnx pass onnx.checker with full shape inference;
  - labels.json, tokens.arrow, predictions.parquet and the model's logits have the same categories;
  - classifier.onnx in plain onnxruntime, in padded batches, gives every test row of predictions.parquet its category
    and probabilities, and every row of attention.parquet its attention;
  - model.safetensors with config.json in transformers gives the first 50 test rows, each alone, the same logits and
    attention as classifier.onnx.
Padding is masked, so a run with compat.article, whose answers were given without a mask, is refused.
Numbers may differ by 1e-4. Prints what was checked; the first failure is one line and exit code 1.

Needs Python 3.11 with: onnx 1.23, onnxruntime 1.31, pyarrow 26.0, torch 2.15, transformers 5.23, numpy 2.4.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification

TOLERANCE = 1e-4
BATCH_SIZE = 32
TRANSFORMERS_ROWS = 50
ARTIFACTS = [
    "tokens.arrow",
    "predictions.parquet",
    "attention.parquet",
    "metrics.json",
    "model/classifier.onnx",
    "model/training.onnx",
    "model/model.safetensors",
    "model/config.json",
    "model/labels.json",
]


def check(holds: bool, message: str) -> None:
    """Ends the script with `message` and exit code 1 unless it holds."""
    if not holds:
        sys.exit(f"FAILED: {' '.join(message.split())}")


def check_close(found, expected, what: str) -> float:
    """Largest absolute difference, checked against the tolerance."""
    found, expected = np.asarray(found), np.asarray(expected)
    check(found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}")
    difference = float(np.abs(found - expected).max(initial=0))
    # Written so that NaN fails too.
    check(difference <= TOLERANCE, f"{what}: differs by {difference:.2e}, expected at most {TOLERANCE:.0e}")
    return difference


def rows_by_id(table: pa.Table) -> dict[str, dict]:
    return {row["id"]: row for row in table.to_pylist()}


def categories_of(schema: pa.Schema) -> list[str]:
    return json.loads(schema.metadata[b"midashi.categories"])


def read_test_texts(run: pathlib.Path) -> tuple[dict[str, dict], list[str]]:
    """The test rows of tokens.arrow, and the categories."""
    with pa.memory_map(str(run / "tokens.arrow")) as source:
        table = pa.ipc.open_file(source).read_all().select(["id", "label", "split", "input_ids", "token_type_ids"])
        rows = rows_by_id(table)
    return {name: row for name, row in rows.items() if row["split"] == "test"}, categories_of(table.schema)


def check_graphs(model: pathlib.Path) -> None:
    for name in ["classifier.onnx", "training.onnx"]:
        try:
            onnx.checker.check_model(str(model / name), full_check=True)
        except Exception as error:  # the checker, shape inference and protobuf have each their own kind
            check(False, f"{model / name}: {error}")
    print("classifier.onnx, training.onnx: valid ONNX")


def open_classifier(path: pathlib.Path) -> onnxruntime.InferenceSession:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # For a model of single texts the token types have a default.
    values = session.get_inputs() + session.get_overridable_initializers()
    inputs = {value.name: (value.type, len(value.shape)) for value in values}
    outputs = {value.name: (value.type, len(value.shape)) for value in session.get_outputs()}
    ids, floats = "tensor(int64)", "tensor(float)"
    expected_inputs = {name: (ids, 2) for name in ("input_ids", "token_type_ids", "attention_mask")}
    expected = expected_inputs, {"logits": (floats, 2), "attention": (floats, 3)}
    check((inputs, outputs) == expected, f"{path}: inputs {inputs}, outputs {outputs}; expected {expected}")
    return session


def classify(session, texts: dict[str, dict], pad_id: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Logits [labels] and attention [heads, tokens] of each text, from batches padded to their longest."""
    results, names = {}, list(texts)
    for start in range(0, len(names), BATCH_SIZE):
        batch = names[start : start + BATCH_SIZE]
        lengths = np.array([len(texts[name]["input_ids"]) for name in batch])
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        feeds = {"attention_mask": mask}
        for column, filler in [("input_ids", pad_id), ("token_type_ids", 0)]:
            feeds[column] = np.full_like(mask, filler)
            feeds[column][mask == 1] = np.concatenate([texts[name][column] for name in batch])
        logits, attention = session.run(["logits", "attention"], feeds)
        check(not (attention * (mask[:, None] == 0)).any(), f"batch of {batch[0]}: padding is attended to")
        check_close(attention.sum(-1), np.ones(attention.shape[:2]), f"batch of {batch[0]}: sum of an attention row")
        for name, length, row, heads in zip(batch, lengths, logits, attention):
            results[name] = row, heads[:, :length]
    return results


def check_predictions(run: pathlib.Path, texts, results, categories: list[str]) -> None:
    table = pq.read_table(run / "predictions.parquet")
    predictions = rows_by_id(table)
    check(categories_of(table.schema) == categories, "predictions.parquet has other categories than tokens.arrow")
    check(list(predictions) == list(texts), "predictions.parquet has other rows than the test rows of tokens.arrow")
    largest = 0.0
    for name, row in predictions.items():
        logits, _ = results[name]
        check(len(logits) == len(categories), f"{name}: {len(logits)} logits, expected {len(categories)}")
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        largest = max(largest, check_close(row["probabilities"], probabilities, f"{name}: probabilities"))
        # Two categories closer than the tolerance may change places.
        chosen = probabilities[categories.index(row["predicted"])]
        check(chosen >= probabilities.max() - 2 * TOLERANCE, f"{name}: predicted is {row['predicted']}")
        check(row["label"] == texts[name]["label"], f"{name}: label is {row['label']}")
        check(row["correct"] == (row["label"] == row["predicted"]), f"{name}: correct is {row['correct']}")
    print(f"predictions.parquet: {len(predictions)} rows as in onnxruntime, probabilities within {largest:.1e}")


def check_attention(run: pathlib.Path, results) -> None:
    shown = rows_by_id(pq.read_table(run / "attention.parquet"))
    unknown = shown.keys() - results.keys()
    check(not unknown, f"attention.parquet: {sorted(unknown)[:3]} are no test rows")
    differences = [
        check_close(row["attention"], results[name][1], f"{name}: attention") for name, row in shown.items()
    ]
    print(f"attention.parquet: {len(shown)} rows as in onnxruntime, within {max(differences, default=0):.1e}")


def load_classifier(model: pathlib.Path):
    """The model in transformers, with attention as an output."""
    network, info = AutoModelForSequenceClassification.from_pretrained(
        model, attn_implementation="eager", output_loading_info=True
    )
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        check(not info[key], f"model.safetensors: {key} {sorted(info[key])[:3]}")
    return network.eval()


def check_transformers(model: pathlib.Path, texts, results) -> None:
    network = load_classifier(model)
    names = list(texts)[:TRANSFORMERS_ROWS]
    largest = 0.0
    for name in names:
        with torch.no_grad():
            inputs = {column: torch.tensor([texts[name][column]]) for column in ("input_ids", "token_type_ids")}
            output = network(**inputs, output_attentions=True)
        largest = max(largest, check_close(results[name][0], output.logits[0], f"{name}: logits beside transformers"))
        check_close(results[name][1], output.attentions[-1][0, :, 0], f"{name}: attention beside transformers")
    print(f"model.safetensors: {len(names)} rows in transformers as in onnxruntime, logits within {largest:.1e}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = pathlib.Path(sys.argv[1])
    model = run / "model"
    for name in ARTIFACTS:
        check((run / name).is_file(), f"{run / name} is not there; run the pipeline up to `make evaluate` first")

    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    if "article" in metrics:
        sys.exit(f"{run} was evaluated with compat.article, without an attention mask; give a run without it")

    check_graphs(model)
    texts, categories = read_test_texts(run)
    check(len(texts) > 0, f"{run / 'tokens.arrow'} has no test row")
    labels = json.loads((model / "labels.json").read_text(encoding="utf-8"))
    check(labels == categories, f"labels.json is {labels}, expected the categories of tokens.arrow: {categories}")
    print(f"labels.json: {len(labels)} categories, as in tokens.arrow")

    pad_id = json.loads((model / "config.json").read_text(encoding="utf-8")).get("pad_token_id") or 0
    results = classify(open_classifier(model / "classifier.onnx"), texts, pad_id)
    check_predictions(run, texts, results, categories)
    check_attention(run, results)
    check_transformers(model, texts, results)


if __name__ == "__main__":
    main()
