"""Everything that a DeBERTa-v2 of published size gives, held against transformers: exit code 1 if it differs.

    python deberta_parity.py "$MIDASHI_CORPUS" [GEOMETRY …]

GEOMETRY is one of those below, by default all. A model of the geometry is drawn, with biases and norms away from 0 and
1 and large queries and keys. Its batches are 32 real titles of the livedoor news corpus (ldcc-20140209.tar.gz or its
unpacked folder), padded to the longest; one of them alone; 8 texts of 512 tokens; and the same texts of different
lengths, padded. A character is a token.

The examples `outputs` and `native_model` compute the same batches with Midashi. Compared are the last hidden state, the
attention of every layer, and the logits of a linear classifier and of the class's own head, each at tokens only; for the
latter, transformers loads the written model. The largest absolute difference must be at most 1e-4.

Needs what output_parity.py needs, but no dictionary.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from checkpoint_reference import read_titles
from output_parity import LABELS, SHARPER, TOLERANCE, at_tokens
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, DebertaV2Config, DebertaV2Model

ROOT = pathlib.Path(__file__).resolve().parents[2]
TITLES, TEXTS, LONGEST = 32, 8, 512
CLS, SEP, FIRST = 1, 2, 5

# The keys of microsoft/deberta-v3-base, which globis-university/deberta-v3-japanese-base shares.
V3 = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-7,
    "max_position_embeddings": 512,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "position_buckets": 256,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
    "vocab_size": 32000,
}
# What ku-nlp/deberta-v2-base-japanese has beside these.
V2 = V3 | {"attention_head_size": 64, "conv_act": "gelu", "conv_kernel_size": 3, "pos_att_type": ["p2c", "c2p"]}
GEOMETRIES = {
    "v3-base": V3,
    "v3-xsmall": V3 | {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6},
    "v2-base": V2,
    "v2-tiny": V2 | {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3, "num_hidden_layers": 3},
}


def draw_model(geometry: dict, folder: pathlib.Path) -> DebertaV2Model:
    model = DebertaV2Model(DebertaV2Config(**geometry))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
        elif ".query_proj." in name or ".key_proj." in name:
            parameter.data *= SHARPER
    model.save_pretrained(folder)
    return model.eval()


def batch_of(texts: list[list[int]]) -> dict[str, torch.Tensor]:
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    return {"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "attention_mask": (ids != 0).long()}


def batches(corpus: pathlib.Path) -> dict[str, dict[str, torch.Tensor]]:
    tokens = lambda text: [CLS, *(FIRST + ord(character) % (V3["vocab_size"] - FIRST) for character in text), SEP]
    all_titles = [title for _, title in read_titles(corpus)]
    titles = [tokens(title) for title in all_titles[::6][:TITLES]]
    joined = "".join(all_titles)
    texts = [tokens(joined[at * 1000 :][: LONGEST - 2]) for at in range(TEXTS)]
    lengths = [LONGEST * (row + 1) // TEXTS for row in range(TEXTS)]
    shorter = [text[:length] for text, length in zip(texts, lengths)]
    named = {"titles": titles, "one title": titles[:1], "512 tokens": texts, "up to 512 tokens": shorter}
    return {name: batch_of(texts) for name, texts in named.items()}


def example(name: str, *arguments) -> None:
    program = ["cargo", "run", "--release", "--quiet", "-p", "midashi-tests", "--example", name, "--"]
    built = ROOT / "target" / "release" / "examples" / name
    subprocess.run([*([built] if built.exists() else program), *map(str, arguments)], cwd=ROOT, check=True)


def compare(geometry: str, name: str, folder: pathlib.Path, model, batch: dict[str, torch.Tensor]) -> float:
    hidden = model.config.hidden_size
    head = {"classifier.weight": 0.02 * torch.randn(LABELS, hidden), "classifier.bias": torch.randn(LABELS)}
    save_file(batch | head, folder / "batch.safetensors")
    example("outputs", folder, folder / "batch.safetensors", folder / "result.safetensors")
    found = load_file(folder / "result.safetensors")
    with torch.inference_mode():
        output = model(**batch, output_attentions=True)
    cls = output.last_hidden_state[:, 0]
    truth = {f"attentions.{layer}": attention for layer, attention in enumerate(output.attentions)}
    truth |= {
        "last_hidden_state": output.last_hidden_state,
        "logits": torch.nn.functional.linear(cls, head["classifier.weight"], head["classifier.bias"]),
        "attention": output.attentions[-1][:, :, 0],
    }
    assert found.keys() == truth.keys(), found.keys() ^ truth.keys()
    mask, worst = batch["attention_mask"].bool(), {}
    for tensor, expected in truth.items():
        difference = at_tokens(tensor, (found[tensor] - expected).abs(), mask).max().item()
        kind = tensor.split(".")[0]
        worst[kind] = max(worst.get(kind, 0), difference)
    for kind in ("linear", "native"):
        written = folder / kind
        written.mkdir(exist_ok=True)
        example("native_model", folder, folder / "batch.safetensors", kind, LABELS, written)
        native = AutoModelForSequenceClassification.from_pretrained(written, dtype=torch.float32).eval()
        with torch.inference_mode():
            expected = native(**batch).logits
        logits = load_file(written / "logits.safetensors")["logits"]
        worst[f"{kind} head, written"] = (logits - expected).abs().max().item()
    differences = ", ".join(f"{kind} {difference:.1e}" for kind, difference in worst.items())
    print(f"{geometry}, {name} ({int(mask.sum())} of {mask.numel()} positions): {differences}", flush=True)
    return max(worst.values())


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    torch.manual_seed(20241128)
    worst = 0.0
    for geometry in sys.argv[2:] or GEOMETRIES:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model = draw_model(GEOMETRIES[geometry], folder)
            for name, batch in batches(pathlib.Path(sys.argv[1])).items():
                worst = max(worst, compare(geometry, name, folder, model, batch))
    if not worst <= TOLERANCE:
        sys.exit(f"differs by {worst}, more than {TOLERANCE}")


if __name__ == "__main__":
    main()
