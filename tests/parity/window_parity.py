"""Compares a finished run with tokenize.long_texts = "windows" with transformers: windows, and the mean of their logits.

    python window_parity.py artifacts/RUN [--texts 200] [--predict BINARY] [--serve URL]

  - The ids of the windows of every text are those of the checkpoint's own tokenizer with return_overflowing_tokens, and
    stride and max_length of the run (of a pair, with truncation="only_second").
  - For evenly spaced texts of the test split, AutoModelForSequenceClassification computes the logits of each window from
    model/. Their mean, weighted by the windows' attention masks, has the log probabilities of predictions.parquet (not of a
    run with int8 or float16 features).
  - With --predict, `midashi-predict` gives the same log probabilities: to the texts as a table, with and without --explain,
    and one by one.
  - With --serve, a running `midashi-serve` gives the same logits (`POST /predict` with raw_scores), alone and in batches.
A number may differ by 1e-4. Prints what was compared; exit code 1 if something differs.

Needs Python 3.11 with: pyarrow 26.0, torch 2.15, transformers 5.24, numpy 2.4; and cargo.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
BATCH_SIZE = 16
SERVED = 8
FAILURES = []


def report(what: str, found: np.ndarray, expected: np.ndarray) -> None:
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    difference = float(np.abs(found - expected).max())
    equal = int((found.argmax(-1) == expected.argmax(-1)).sum())
    # Written so that NaN fails too.
    holds = difference <= TOLERANCE and equal == len(expected)
    print(f"{what:58} largest difference {difference:.2e}, categories {equal} of {len(expected)}"
          + ("" if holds else "  FAILED"))
    if not holds:
        FAILURES.append(what)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


class Windows:
    """The windows of texts by transformers."""

    def __init__(self, run: pathlib.Path):
        self.table = pa.ipc.open_file(run / "tokens.arrow").read_all()
        self.settings = json.loads(self.table.schema.metadata[b"midashi.windows"])
        self.pairs = json.loads(self.table.schema.metadata[b"midashi.settings"])["text"] == "title+body"
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(run / "tokenizer/tokenizer.json"))

    def of(self, text: str) -> dict[str, list[list[int]]]:
        texts = text.split("\n", 1) if self.pairs else [text]
        return self.tokenizer(
            *texts,
            truncation="only_second" if self.pairs else True,
            return_overflowing_tokens=True,
            return_token_type_ids=True,
            max_length=self.settings["max_length"],
            stride=self.settings["stride"],
        )


def compare_ids(run: pathlib.Path, windows: Windows) -> None:
    example = ["cargo", "run", "--release", "--quiet", "--workspace", "--example", "windows", "--"]
    path = (run / "tokens.arrow").resolve()
    found = subprocess.run([*example, path], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rows, wrong, count = found.splitlines(), 0, 0
    originals = windows.table["original"].to_pylist()
    for original, row in zip(originals, rows, strict=True):
        expected = windows.of(original)["input_ids"]
        count += len(expected)
        wrong += row != "\t".join(" ".join(map(str, ids)) for ids in expected)
    print(f"windows: {count} of {len(rows)} texts, {wrong} texts differ")
    if wrong:
        FAILURES.append("windows")


def mean_logits(run: pathlib.Path, windows: Windows, texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """The weighted mean of each text's logits, and the numbers of windows."""
    model = AutoModelForSequenceClassification.from_pretrained(run / "model", dtype=torch.float32).eval()
    padding = model.config.pad_token_id
    means, counts = [], []
    for text in texts:
        cut, logits, weights = windows.of(text), [], []
        for start in range(0, len(cut["input_ids"]), BATCH_SIZE):
            ids, types = ([torch.tensor(row) for row in cut[name][start : start + BATCH_SIZE]]
                          for name in ("input_ids", "token_type_ids"))
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], True)
            ids = torch.nn.utils.rnn.pad_sequence(ids, True, padding)
            types = torch.nn.utils.rnn.pad_sequence(types, True)
            with torch.no_grad():
                logits.append(model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits.double())
            weights.append(mask.sum(1).double())
        logits, weights = torch.cat(logits), torch.cat(weights)
        means.append(((logits * weights[:, None]).sum(0) / weights.sum()).numpy())
        counts.append(len(weights))
    return np.stack(means), counts


def predict(binary: str, run: pathlib.Path, arguments: list[str], text: str | None = None) -> list[dict]:
    command = [binary, "--model", run / "model", *arguments]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, input=text).stdout
    return [json.loads(line) for line in output.splitlines()]


def compare_predict(binary: str, run: pathlib.Path, texts: list[str], expected: np.ndarray, labels: list[str]) -> None:
    logs = lambda rows: np.log([[row["probabilities"][label] for label in labels] for row in rows])
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as table:
        for text in texts:
            table.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        table.flush()
        rows = predict(binary, run, ["--input", table.name, "--all", "--format", "jsonl"])
        report("midashi-predict, a table", logs(rows), expected)
        explained = ["--input", table.name, "--all", "--format", "jsonl", "--explain", "gradient-x-input"]
        report("midashi-predict, a table with --explain", logs(predict(binary, run, explained)), expected)
    some = list(range(0, len(texts), max(1, len(texts) // SERVED)))
    alone = [predict(binary, run, ["--format", "json", "--", texts[at]])[0] for at in some]
    report("midashi-predict, single texts", logs(alone), expected[some])


def compare_serve(url: str, texts: list[str], expected: np.ndarray, labels: list[str]) -> None:
    def ask(inputs) -> list:
        body = json.dumps({"inputs": inputs, "raw_scores": True}).encode()
        request = urllib.request.Request(url + "/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def scores(answer: list[dict]) -> list[float]:
        by_label = {item["label"]: item["score"] for item in answer}
        return [by_label[label] for label in labels]

    batches = [texts[start : start + SERVED] for start in range(0, len(texts), SERVED)]
    together = [scores(answer) for batch in batches for answer in ask([[text] for text in batch])]
    report("midashi-serve, batches", together, expected)
    report("midashi-serve, single texts", [scores(ask(text)) for text in texts[:SERVED]], expected[:SERVED])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--predict")
    parser.add_argument("--serve")
    arguments = parser.parse_args()
    run = arguments.run.resolve()
    windows = Windows(run)
    compare_ids(run, windows)

    labels = json.loads((run / "model/labels.json").read_text(encoding="utf-8"))
    originals = dict(zip(windows.table["id"].to_pylist(), windows.table["original"].to_pylist()))
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    rows = rows[:: max(1, len(rows) // arguments.texts)]
    texts = [originals[row["id"]] for row in rows]
    expected, counts = mean_logits(run, windows, texts)
    several = sum(count > 1 for count in counts)
    print(f"{len(texts)} test texts, {several} of several windows, at most {max(counts)}")
    logs = log_softmax(expected)
    report("predictions.parquet", np.log([row["probabilities"] for row in rows]), logs)
    if arguments.predict:
        compare_predict(arguments.predict, run, texts, logs, labels)
    if arguments.serve:
        compare_serve(arguments.serve, texts, expected, labels)
    if FAILURES:
        sys.exit(f"different: {', '.join(FAILURES)}")


if __name__ == "__main__":
    main()
