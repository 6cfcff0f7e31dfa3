"""Everything that an encoder gives at full size, held against transformers: writes nothing, exit code 1 if it differs.

    python output_parity.py "$MIDASHI_CORPUS" CHECKPOINT

CHECKPOINT is a folder with config.json and a tokenizer, and weights or none: without, a model of its geometry is drawn,
pooler included, with biases and norms away from 0 and 1 and large queries and keys. The batch is 32 real titles of the
livedoor news corpus (ldcc-20140209.tar.gz or its unpacked folder), padded to the longest, every second of them with
token types as if its second half were another text. A linear classifier of nine categories is drawn as well.

The example `outputs` computes the same batch with Midashi. Compared are logits (the graph whose last layer is
computed for [CLS] alone, and its attention), the last hidden state, the pooler output and the attention of every
layer, each at tokens only: the largest absolute difference must be at most 1e-4.

Needs Python 3.11 with: torch 2.15, transformers 5.23, safetensors 0.8, numpy 2.4, fugashi and the dictionary that the
tokenizer names (ipadic, unidic-lite); and cargo.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from checkpoint_reference import read_titles
from safetensors.torch import load_file, save_file
from tokenize_reference import load as load_tokenizer
from transformers import BertConfig, BertModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = 32
LABELS = 9
TOLERANCE = 1e-4
# Freshly drawn, all attention is almost even, which would hide mistakes.
SHARPER = 4


def draw_model(geometry: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A model with random weights in `folder`."""
    model = BertModel(BertConfig.from_pretrained(geometry))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
        elif ".query." in name or ".key." in name:
            parameter.data *= SHARPER
    model.save_pretrained(folder)
    return folder


def load_model(folder: pathlib.Path) -> tuple[BertModel, bool]:
    """The model in `folder`, and whether it has a pooler: transformers draws what is missing, so nothing else may be."""
    model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if model_type != "bert":
        sys.exit(f"{folder}/config.json: found model_type {model_type!r}, expected 'bert': this compares BertModel")
    model, loading = BertModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    missing = set(loading["missing_keys"])
    pooler = {name for name in missing if name.startswith("pooler.")}
    if missing != pooler:
        sys.exit(f"{folder}: transformers found no {sorted(missing - pooler)}")
    return model.eval(), not pooler


def tokenize(checkpoint: pathlib.Path, texts: list[str], config: BertConfig) -> dict[str, torch.Tensor]:
    tokenizer = load_tokenizer(checkpoint)
    ids = [tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, ids))
    padded = [row + [config.pad_token_id] * (longest - len(row)) for row in ids]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    types = [[0] * longest for _ in ids]
    for row in range(0, len(ids), 2) if config.type_vocab_size > 1 else []:
        length = len(ids[row])
        types[row][length // 2 : length] = [1] * (length - length // 2)
    batch = {"input_ids": padded, "token_type_ids": types, "attention_mask": mask}
    return {name: torch.tensor(numbers) for name, numbers in batch.items()}


def compute(model: BertModel, batch: dict[str, torch.Tensor], head: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        output = model(**batch, output_attentions=True)
    cls = output.last_hidden_state[:, 0]
    truth = {f"attentions.{layer}": attention for layer, attention in enumerate(output.attentions)}
    return truth | {
        "last_hidden_state": output.last_hidden_state,
        "pooler_output": output.pooler_output,
        "logits": torch.nn.functional.linear(cls, head["classifier.weight"], head["classifier.bias"]),
        "attention": output.attentions[-1][:, :, 0],
    }


def at_tokens(name: str, difference: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The numbers that mean something: rows of tokens, and attention to anything."""
    if name == "last_hidden_state":
        return difference[mask]
    if name.startswith("attentions."):
        return difference.transpose(1, 2)[mask]
    return difference


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    corpus, checkpoint = map(pathlib.Path, sys.argv[1:])
    torch.manual_seed(20240604)
    titles = [title for _, title in read_titles(corpus)][::6][:TEXTS]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        has_weights = any(checkpoint.glob("*.safetensors")) or any(checkpoint.glob("*.bin"))
        weights = checkpoint if has_weights else draw_model(checkpoint, folder)
        model, has_pooler = load_model(weights)
        batch = tokenize(checkpoint, titles, model.config)
        hidden = model.config.hidden_size
        head = {"classifier.weight": 0.02 * torch.randn(LABELS, hidden), "classifier.bias": torch.randn(LABELS)}
        truth = compute(model, batch, head)
        save_file(batch | head, folder / "batch.safetensors")
        example = ["cargo", "run", "--release", "--quiet", "-p", "midashi-tests", "--example", "outputs", "--"]
        arguments = [weights.resolve(), folder / "batch.safetensors", folder / "result.safetensors"]
        subprocess.run([*example, *arguments], cwd=ROOT, check=True)
        found = load_file(folder / "result.safetensors")

    mask = batch["attention_mask"].bool()
    print(f"{len(titles)} titles of {mask.sum(1).min()} to {mask.sum(1).max()} tokens, {len(truth)} outputs")
    if not has_pooler:
        print("pooler_output: the checkpoint has no pooler, transformers drew one")
        del truth["pooler_output"]
    if found.keys() != truth.keys():
        sys.exit(f"outputs {sorted(found.keys() ^ truth.keys())} are not on both sides")
    worst = 0.0
    for name, expected in truth.items():
        assert found[name].shape == expected.shape, f"{name}: {found[name].shape}, {expected.shape}"
        difference = at_tokens(name, (found[name] - expected).abs(), mask).max().item()
        print(f"{name:20} {list(expected.shape)!s:20} largest {expected.abs().max():8.4f}  differs by {difference:.1e}")
        worst = max(worst, difference)
    if not worst <= TOLERANCE:
        sys.exit(f"differs by {worst}, more than {TOLERANCE}")


if __name__ == "__main__":
    main()
