"""Checks that a run's model/ gives the same logits wherever it is loaded.

    python pipeline_parity.py artifacts/RUN [--predictions FILE] [--serve URL] [--precisions]

The truth is classifier.onnx in plain onnxruntime on the ids in tokens.arrow of the test split, without padding. Compared with
it, without a line of Midashi's code and without remote code:
  - AutoTokenizer's ids and token types of the text of every article, all splits, with those in tokens.arrow;
  - AutoModelForSequenceClassification, in padded batches of what AutoTokenizer gives;
  - pipeline("text-classification"), with the names of the categories;
  - classifier.onnx and onnx/model.onnx on what AutoTokenizer gives; for a model of single texts also without
    token_type_ids;
  - predictions.parquet, which `evaluate` wrote (log probabilities; not of a run with int8 or float16 features);
  - with --predictions, the table of `midashi-predict --model artifacts/RUN/model --input TEXTS --all --output FILE`, where
    TEXTS is what `--texts TEXTS` writes; both names end in .jsonl;
  - with --serve, the scores of a running `midashi-serve` (`POST /predict` with raw_scores).
A number may differ by 1e-4, and the best category never. With --precisions, model/ is loaded in float16 and bfloat16 too, and
the differences are printed. Prints what was compared; exit code 1 if something differs.

Needs Python 3.11 with: onnxruntime 1.32, pyarrow 26.0, torch 2.15, transformers 5.24 (for MeCab fugashi and the dictionary's
package), numpy 2.4.
"""

import argparse
import json
import pathlib
import sys
import urllib.request

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

TOLERANCE = 1e-4
BATCH_SIZE = 32
FAILURES = []


def report(what: str, found: np.ndarray, expected: np.ndarray, binding: bool = True) -> None:
    """Prints the largest difference and the agreement of the categories; remembers a failure."""
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    difference = float(np.abs(found - expected).max())
    equal = int((found.argmax(-1) == expected.argmax(-1)).sum())
    # Written so that NaN fails too.
    holds = difference <= TOLERANCE and equal == len(expected)
    verdict = "" if holds or not binding else "  FAILED"
    print(f"{what:58} largest difference {difference:.2e}, categories {equal} of {len(expected)}{verdict}")
    if binding and not holds:
        FAILURES.append(what)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, dtype=np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def batches(count: int):
    return (slice(start, start + BATCH_SIZE) for start in range(0, count, BATCH_SIZE))


class Run:
    """The artifacts of a run, and the model's logits on its test split."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.model = folder, folder / "model"
        self.record = json.loads((self.model / "midashi.json").read_text())
        self.labels = json.loads((self.model / "labels.json").read_text())
        self.pairs = self.record["text"] == "title+body"
        self.rows = pa.ipc.open_file(folder / "tokens.arrow").read_all().to_pylist()
        self.test = [row for row in self.rows if row["split"] == "test"]
        self.session = self.open("classifier.onnx")
        self.logits = np.empty((len(self.test), len(self.labels)), dtype=np.float32)
        lengths = np.array([len(row["input_ids"]) for row in self.test])
        for length in sorted(set(lengths)):
            same = np.flatnonzero(lengths == length)
            for part in batches(len(same)):
                rows = [self.test[at] for at in same[part]]
                names = ("input_ids", "token_type_ids")
                inputs = {name: np.array([row[name] for row in rows], dtype=np.int64) for name in names}
                inputs["attention_mask"] = np.ones_like(inputs["input_ids"])
                self.logits[same[part]] = self.session.run(["logits"], inputs)[0]

    def open(self, name: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        # An optional input is a warning.
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(self.model / name, options)

    def texts(self, rows: list[dict]) -> list:
        """The texts as a tokenizer takes them."""
        return [tuple(row["original"].split("\n", 1)) if self.pairs else row["original"] for row in rows]

    def encode(self, tokenizer, rows: list[dict], **arguments):
        texts = self.texts(rows)
        parts = ([title for title, _ in texts], [body for _, body in texts]) if self.pairs else (texts,)
        truncation = "only_second" if self.pairs else True
        return tokenizer(*parts, truncation=truncation, **arguments)


def compare_tokenizer(run: Run, tokenizer) -> None:
    encoded = run.encode(tokenizer, run.rows)
    for name in ("input_ids", "token_type_ids"):
        wrong = [row["id"] for row, ids in zip(run.rows, encoded[name], strict=True) if row[name] != list(ids)]
        print(f"{f'AutoTokenizer ({type(tokenizer).__name__}), {name}':58} {len(run.rows) - len(wrong)} of {len(run.rows)} texts")
        if wrong:
            FAILURES.append(f"{name}, first of article {wrong[0]}")
    if tokenizer.model_max_length != run.record["max_length"]:
        FAILURES.append(f"model_max_length {tokenizer.model_max_length}, midashi.json has {run.record['max_length']}")


def compare_transformers(run: Run, tokenizer, precisions: bool) -> None:
    kinds = {"float32": torch.float32} | ({"float16": torch.float16, "bfloat16": torch.bfloat16} if precisions else {})
    for name, dtype in kinds.items():
        model, info = AutoModelForSequenceClassification.from_pretrained(run.model, dtype=dtype, output_loading_info=True)
        for key, value in info.items():
            if value and key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
                FAILURES.append(f"transformers: {key} {value}")
        logits = []
        with torch.inference_mode():
            for part in batches(len(run.test)):
                inputs = run.encode(tokenizer, run.test[part], padding=True, return_tensors="pt")
                logits.append(model(**inputs).logits.float().numpy())
        report(f"AutoModelForSequenceClassification, {name}", np.concatenate(logits), run.logits, name == "float32")


def compare_pipeline(run: Run) -> None:
    pipe = pipeline("text-classification", str(run.model), device="cpu")
    texts = run.texts(run.test)
    texts = [{"text": title, "text_pair": body} for title, body in texts] if run.pairs else texts
    truncation = "only_second" if run.pairs else True
    found = pipe(texts, top_k=None, function_to_apply="none", truncation=truncation, batch_size=BATCH_SIZE)
    by_name = [{score["label"]: score["score"] for score in scores} for scores in found]
    report('pipeline("text-classification")', [[row[label] for label in run.labels] for row in by_name], run.logits)


def compare_onnx(run: Run, tokenizer) -> None:
    metadata = run.session.get_modelmeta().custom_metadata_map
    if json.loads(metadata["midashi.labels"]) != run.labels:
        FAILURES.append("labels in the metadata of classifier.onnx")
    optional = [] if run.pairs else ["token_type_ids"]
    if [value.name for value in run.session.get_overridable_initializers()] != optional:
        FAILURES.append(f"optional inputs of classifier.onnx; expected {optional}")
    for name in ("classifier.onnx", "onnx/model.onnx"):
        session = run.open(name)
        for left_out in [[]] + [[name] for name in optional]:
            logits = []
            for part in batches(len(run.test)):
                inputs = dict(run.encode(tokenizer, run.test[part], padding=True, return_tensors="np"))
                inputs = {key: value for key, value in inputs.items() if key not in left_out}
                logits.append(session.run(["logits"], inputs)[0])
            without = f" without {left_out[0]}" if left_out else ""
            report(f"{name} on AutoTokenizer's output{without}", np.concatenate(logits), run.logits)


def compare_evaluate(run: Run) -> None:
    path = run.folder / "predictions.parquet"
    if path.is_file():
        table = pq.read_table(path)
        found = {row["id"]: row["probabilities"] for row in table.to_pylist()}
        found = np.log([found[row["id"]] for row in run.test])
        report("predictions.parquet (log probabilities)", found, log_softmax(run.logits))


def compare_predict(run: Run, file: pathlib.Path) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    found = [[row["probabilities"][label] for label in run.labels] for row in rows]
    report("midashi-predict (log probabilities)", np.log(found), log_softmax(run.logits))


def compare_serve(run: Run, url: str) -> None:
    texts, found = run.texts(run.test), []
    for part in batches(len(texts)):
        inputs = [list(text) if run.pairs else [text] for text in texts[part]]
        body = json.dumps({"inputs": inputs, "raw_scores": True, "truncate": True}).encode()
        request = urllib.request.Request(f"{url}/predict", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as response:
            for scores in json.load(response):
                by_name = {score["label"]: score["score"] for score in scores}
                found.append([by_name[label] for label in run.labels])
    report("midashi-serve (raw scores)", found, run.logits)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--texts", type=pathlib.Path, help="write the test texts as JSON Lines and end")
    parser.add_argument("--predictions", type=pathlib.Path)
    parser.add_argument("--serve")
    parser.add_argument("--precisions", action="store_true")
    arguments = parser.parse_args()
    run = Run(arguments.run)
    if arguments.texts:
        lines = [json.dumps({"id": row["id"], "text": row["original"]}, ensure_ascii=False) for row in run.test]
        arguments.texts.write_text("\n".join(lines) + "\n")
        return
    print(f"{arguments.run.name}: head {run.record['head']}, {len(run.test)} test texts")
    tokenizer = AutoTokenizer.from_pretrained(run.model)
    compare_tokenizer(run, tokenizer)
    compare_transformers(run, tokenizer, arguments.precisions)
    compare_pipeline(run)
    compare_onnx(run, tokenizer)
    compare_evaluate(run)
    if arguments.predictions:
        compare_predict(run, arguments.predictions)
    if arguments.serve:
        compare_serve(run, arguments.serve.rstrip("/"))
    if FAILURES:
        sys.exit("FAILED: " + "; ".join(FAILURES))


if __name__ == "__main__":
    main()
