"""Classifies the lines of a text file with a plain PyTorch loop: transformers' tokenizer, batches of 32 in the order of
the input, padded to the longest.

    venv/bin/python predict_peer.py MODEL texts.txt predicted.jsonl [--threads 2] [--max-length 512]

MODEL is a run's `model/`. `texts.txt` has a text a line; with the ending `.jsonl`, an object with the key `text` a line.
The output has an object a line: `text`, `predicted`, `probability`; a text without words has no category. The last line on
standard error is the time of the whole process. Compare with

    midashi-predict --model MODEL --input texts.txt --output ours.jsonl
    venv/bin/python predict_peer.py --compare ours.jsonl predicted.jsonl
"""

import argparse
import json
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def texts_of(path):
    lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [json.loads(line)["text"] for line in lines] if path.endswith(".jsonl") else lines


def load(folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return AutoTokenizer.from_pretrained(folder), model


def predict(arguments):
    import torch

    torch.set_num_threads(arguments.threads)
    tokenizer, model = load(Path(arguments.paths[0]))
    special = len(tokenizer("")["input_ids"])
    texts = texts_of(arguments.paths[1])
    with open(arguments.paths[2], "w", encoding="utf-8") as output, torch.inference_mode():
        for start in range(0, len(texts), 32):
            batch = texts[start : start + 32]
            inputs = tokenizer(
                batch, padding=True, truncation=True, max_length=arguments.max_length, return_tensors="pt"
            )
            probabilities = torch.softmax(model(**inputs).logits, dim=-1)
            best = probabilities.max(dim=-1)
            lengths = inputs["attention_mask"].sum(dim=-1)
            for text, id, probability, length in zip(batch, best.indices, best.values, lengths):
                row = {"text": text, "predicted": None, "probability": None}
                if length > special:
                    row |= {"predicted": model.config.id2label[int(id)], "probability": float(probability)}
                output.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(texts)} texts in {time.perf_counter() - STARTED:.1f} s", file=sys.stderr)


def compare(paths):
    ours, theirs = ([json.loads(line) for line in open(path, encoding="utf-8")] for path in paths)
    if len(ours) != len(theirs):
        sys.exit(f"{len(ours)} rows against {len(theirs)}")
    equal = sum(one["predicted"] == other["predicted"] for one, other in zip(ours, theirs))
    both = [(one["probability"], other["probability"]) for one, other in zip(ours, theirs)]
    furthest = max(abs(one - other) for one, other in both if one is not None and other is not None)
    print(f"{equal} of {len(ours)} categories equal ({equal / len(ours):.2%}); probabilities differ by at most {furthest:.2g}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--compare", action="store_true")
    arguments = parser.parse_args()
    compare(arguments.paths) if arguments.compare else predict(arguments)
