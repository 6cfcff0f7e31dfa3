"""What transformers computes with a model/ that Midashi wrote, for each head.

    python head_reference.py LINEAR_RUN POOLER_RUN

Copies the small files of each run's model/ to ../fixtures/heads/HEAD (everything but the ONNX graphs and the model card) and
writes logits.json beside them: texts of the run's test split, and for each the logits of
AutoModelForSequenceClassification on what AutoTokenizer gives, one text at a time, without remote code. The runs are made
with
    train.head=HEAD model.scratch.layers=1 model.scratch.hidden_size=16 model.scratch.attention_heads=2
    model.scratch.intermediate_size=32 model.scratch.max_positions=64 model.scratch.vocabulary_size=1000
on ../../data/scratch.toml, whose texts are in the public domain.

Needs what pipeline_parity.py needs.
"""

import json
import pathlib
import shutil
import sys

import pyarrow as pa
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "heads"
TEXTS = 24


def main() -> None:
    for run in map(pathlib.Path, sys.argv[1:]):
        model = run / "model"
        head = json.loads((model / "midashi.json").read_text())["head"]
        target = FIXTURES / head
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for file in sorted(model.iterdir()):
            if file.is_file() and file.suffix not in (".onnx", ".md"):
                shutil.copyfile(file, target / file.name)
        rows = pa.ipc.open_file(run / "tokens.arrow").read_all().to_pylist()
        texts = [row["original"] for row in rows if row["split"] == "test"][:: len(rows) // 5 // TEXTS][:TEXTS]
        tokenizer = AutoTokenizer.from_pretrained(target)
        network = AutoModelForSequenceClassification.from_pretrained(target)
        lines = []
        for text in texts:
            with torch.inference_mode():
                logits = network(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0].tolist()
            lines.append(json.dumps({"text": text, "logits": logits}, ensure_ascii=False))
        (target / "logits.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
        print(f"{head}: {len(lines)} texts")


if __name__ == "__main__":
    main()
