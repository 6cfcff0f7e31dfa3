"""Compare the `model/` of a run with a trimmed vocabulary with the checkpoint's whole vocabulary, in transformers.

    python trim_parity.py RUN CHECKPOINT [--texts 64]

RUN is the folder of a run with `model.trim_vocabulary` and frozen word embeddings (`train.trainable_layers` is a number);
CHECKPOINT is its checkpoint's folder, with a `tokenizer.json` and `model.safetensors`. Compared are

- the model's word embeddings with the checkpoint's rows that `tokenizer/vocabulary.parquet` names, bit for bit;
- AutoTokenizer's ids with those of `tokens.arrow`, and with those of the checkpoint's own tokenizer;
- the logits with those of the same model with all of the checkpoint's word embeddings and ids, bit for bit;
- the logits with those of `classifier.onnx` in onnxruntime, to 1e-4.

The exit code is 1 if one differs.

Needs Python 3.11 with: torch 2.15, transformers 5.24, onnxruntime 1.32, pyarrow 26.
"""

import argparse
import pathlib
import sys

import numpy
import onnxruntime
import pyarrow
import pyarrow.parquet
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--texts", type=int, default=64)
    arguments = parser.parse_args()
    folder = arguments.run / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    whole_tokenizer = Tokenizer.from_file(str(arguments.checkpoint / "tokenizer.json"))
    vocabulary = pyarrow.parquet.read_table(arguments.run / "tokenizer/vocabulary.parquet")
    kept = torch.tensor(vocabulary["checkpoint_id"].to_pylist())
    weights = load_file(arguments.checkpoint / "model.safetensors")
    [words] = [name for name in weights if "word_embeddings" in name or "tok_embeddings" in name]
    whole_words = weights[words].float()
    tokens = pyarrow.ipc.open_file(arguments.run / "tokens.arrow").read_all()

    texts = tokens["original"].to_pylist()
    ids = tokenizer(texts)["input_ids"]
    whole_ids = [encoding.ids for encoding in whole_tokenizer.encode_batch(texts)]
    as_in_run = sum(one == other for one, other in zip(ids, tokens["input_ids"].to_pylist(), strict=True))
    as_whole = sum(kept[torch.tensor(one)].tolist() == other for one, other in zip(ids, whole_ids, strict=True))

    batch = tokenizer(texts[: arguments.texts], padding=True, return_tensors="pt")
    session = onnxruntime.InferenceSession(folder / "classifier.onnx")
    names = {given.name for given in session.get_inputs()}
    [by_onnx] = session.run(["logits"], {name: ids.numpy() for name, ids in batch.items() if name in names})
    with torch.no_grad():
        logits = model(**batch).logits
        same_words = torch.equal(model.get_input_embeddings().weight, whole_words[kept])
        model.set_input_embeddings(torch.nn.Embedding.from_pretrained(whole_words))
        of_whole = model(**{**batch, "input_ids": kept[batch["input_ids"]]}).logits
    difference = numpy.abs(by_onnx - logits.numpy()).max()
    same_logits = torch.equal(logits, of_whole)
    print(f"{len(kept)} of {len(whole_words)} word embeddings, {'equal' if same_words else 'DIFFERENT'}")
    print(f"ids of {len(texts)} texts: {as_in_run} as in tokens.arrow, {as_whole} as of the whole vocabulary")
    print(f"logits of {len(logits)} texts: {'equal' if same_logits else 'DIFFERENT'} with the whole vocabulary, "
          f"classifier.onnx differs by {difference:.1e}")
    all_equal = same_words and same_logits and as_in_run == as_whole == len(texts)
    sys.exit(not (all_equal and difference < TOLERANCE))


if __name__ == "__main__":
    main()
