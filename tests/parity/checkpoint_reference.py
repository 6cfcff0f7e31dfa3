"""Logits and [CLS] attention that transformers computes for 200 real titles with a real checkpoint.

    python checkpoint_reference.py "$MIDASHI_CORPUS" "$MIDASHI_CHECKPOINT"

MIDASHI_CORPUS is the livedoor news corpus (ldcc-20140209.tar.gz or its unpacked folder), MIDASHI_CHECKPOINT a folder
with config.json, model.safetensors and tokenizer.json; the committed fixture is of multilingual-e5-small-ja.

Writes ../fixtures/checkpoint_reference.safetensors, which holds no text of the corpus:
  metadata `ids`                        JSON list of the articles' ids (file names without .txt)
  classifier.weight, classifier.bias    [9, hidden] of N(0, 0.02) and [9] of N(0, 1), seeded
  logits                                [200, 9], the classifier on the last hidden state of [CLS]
  lengths                               [200] int64, tokens of each title, special tokens included
  attention                             the last layer's row of [CLS], [heads, tokens] of each title, end to end

The titles: all articles sorted by category and file name, licences left out, every 36th from the first on until
200; the third line without surrounding white space. Each title runs alone, so there is no padding.

Needs Python 3.11 with: torch 2.15, transformers 5.23, safetensors 0.8, numpy 2.4.
"""

import json
import pathlib
import sys
import tarfile

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertModel, PreTrainedTokenizerFast

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "checkpoint_reference.safetensors"
LABELS = 9
TITLES = 200
EVERY = 36
NO_ARTICLES = {"LICENSE.txt", "README.txt", "CHANGES.txt"}
# What a committed fixture may weigh.
MAX_BYTES = 400_000


def read_titles(corpus: pathlib.Path) -> list[tuple[str, str]]:
    """Id and title of the chosen articles."""
    if corpus.is_dir():
        files = {path.parts[-2:]: path.read_bytes() for path in corpus.rglob("*.txt")}
    else:
        with tarfile.open(corpus) as archive:
            members = [member for member in archive if member.isfile() and member.name.endswith(".txt")]
            files = {pathlib.PurePosixPath(m.name).parts[-2:]: archive.extractfile(m).read() for m in members}
    articles = sorted((category, name) for category, name in files if name not in NO_ARTICLES)
    chosen = articles[::EVERY][:TITLES]
    if len(chosen) < TITLES:
        sys.exit(f"{corpus}: {len(articles)} articles, expected those of the whole livedoor news corpus (7,367)")
    return [(article[1].removesuffix(".txt"), third_line(files[article])) for article in chosen]


def third_line(content: bytes) -> str:
    return content.decode("utf-8").split("\n")[2].strip()


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    corpus, checkpoint = map(pathlib.Path, sys.argv[1:])
    titles = read_titles(corpus)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
    bert = BertModel.from_pretrained(checkpoint, attn_implementation="eager", dtype=torch.float32).eval()

    random = np.random.default_rng(20240602)
    weight = torch.from_numpy((0.02 * random.standard_normal((LABELS, bert.config.hidden_size))).astype(np.float32))
    bias = torch.from_numpy(random.standard_normal(LABELS).astype(np.float32))

    logits, lengths, attention = [], [], []
    for _, title in titles:
        input_ids = torch.tensor([tokenizer(title)["input_ids"]])
        with torch.no_grad():
            output = bert(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), output_attentions=True)
            logits.append(torch.nn.functional.linear(output.last_hidden_state[0, 0], weight, bias))
        lengths.append(input_ids.shape[1])
        attention.append(output.attentions[-1][0, :, 0].flatten())

    tensors = {
        "classifier.weight": weight,
        "classifier.bias": bias,
        "logits": torch.stack(logits),
        "lengths": torch.tensor(lengths),
        "attention": torch.cat(attention),
    }
    FIXTURE.parent.mkdir(exist_ok=True)
    save_file(tensors, FIXTURE, {"ids": json.dumps([article for article, _ in titles])})
    size = FIXTURE.stat().st_size
    print(f"{FIXTURE.name}: {len(titles)} titles of {min(lengths)} to {max(lengths)} tokens, {size} bytes")
    if size > MAX_BYTES:
        sys.exit(f"{FIXTURE.name} is larger than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
