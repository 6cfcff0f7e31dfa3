"""Everything that a ModernBERT of published size gives, held against transformers: exit code 1 if it differs.

    python modernbert_parity.py "$MIDASHI_CORPUS" [GEOMETRY …]

GEOMETRY is a ModernBERT of random_encoder.py, by default modernbert-ja-30m. Its batches are 32 real titles of the livedoor
news corpus (ldcc-20140209.tar.gz or its unpacked folder), padded to the longest; one of them alone; 8 texts of 1,024
tokens, of which local layers see 129; and the same texts of different lengths, padded. A character is a token.

The examples `outputs` and `native_model` compute the same batches with Midashi. Compared are the last hidden state and the
attention of every layer (local attention as a matrix of all tokens), the hidden states before the final normalisation
(local attention in blocks, without padding), and the logits of a linear classifier and of the class's own head with both
poolings (in blocks, with padding), each at tokens only; for the latter, transformers loads the written model. The largest
difference must be at most 1e-4; hidden states before the final normalisation may be large, so theirs is relative to the
largest of them.

Needs Python 3.11 with: torch 2.15, transformers 5.24, safetensors 0.8; and cargo.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from checkpoint_reference import read_titles
from random_encoder import draw
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

ROOT = pathlib.Path(__file__).resolve().parents[2]
TITLES, TEXTS, LONGEST, LABELS = 32, 8, 1024, 9
CLS, SEP, PAD, FIRST = 6, 4, 3, 10
TOLERANCE = 1e-4
# Texts of a run: the attention of all layers is large.
TEXTS_OF_A_RUN = 2


def ids(text: str, vocabulary: int, longest: int) -> list[int]:
    """An id for each character, far from each other."""
    characters = [FIRST + ord(character) * 31 % (vocabulary - FIRST) for character in text[: longest - 2]]
    return [CLS, *characters, SEP]


def padded(texts: list[list[int]]) -> dict[str, torch.Tensor]:
    longest = max(map(len, texts))
    rows = torch.tensor([text + [PAD] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return {"input_ids": rows, "attention_mask": mask, "token_type_ids": torch.zeros_like(rows)}


def batches(titles: list[str], vocabulary: int) -> dict[str, list[dict[str, torch.Tensor]]]:
    some = [ids(title, vocabulary, LONGEST) for title in titles[::6][:TITLES]]
    # Titles one after the other, from another one on in each text.
    long = [ids("".join(titles[23 * at :] + titles), vocabulary, LONGEST) for at in range(TEXTS)]
    shorter = [text[: LONGEST - 117 * at] for at, text in enumerate(long)]

    def runs(texts: list[list[int]]) -> list[dict[str, torch.Tensor]]:
        return [padded(texts[at : at + TEXTS_OF_A_RUN]) for at in range(0, len(texts), TEXTS_OF_A_RUN)]

    return {
        f"{TITLES} titles": [padded(some)],
        "one title": [padded(some[:1])],
        f"{TEXTS} texts of {LONGEST} tokens": runs(long),
        f"{TEXTS} texts of {len(shorter[-1])} to {LONGEST} tokens": runs(shorter),
    }


def build() -> None:
    examples = [word for name in ("outputs", "native_model") for word in ("--example", name)]
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--workspace", *examples]
    subprocess.run(command, cwd=ROOT, check=True)


def example(name: str, *arguments) -> None:
    subprocess.run([ROOT / "target" / "release" / "examples" / name, *arguments], cwd=ROOT, check=True)


def compute(model, batch: dict[str, torch.Tensor], head: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kept = {}
    hook = model.layers[-1].register_forward_hook(lambda module, inputs, output: kept.update(hidden=output))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        output = model(**inputs, output_attentions=True)
    hook.remove()
    cls = output.last_hidden_state[:, 0]
    truth = {f"attentions.{layer}": attention for layer, attention in enumerate(output.attentions)}
    return truth | {
        "last_hidden_state": output.last_hidden_state,
        "hidden_states": kept["hidden"][batch["attention_mask"].bool()],
        "logits": torch.nn.functional.linear(cls, head["classifier.weight"], head["classifier.bias"]),
        "attention": output.attentions[-1][:, :, 0],
    }


def difference(name: str, found: torch.Tensor, expected: torch.Tensor, mask: torch.Tensor) -> float:
    """At tokens: rows of padding have no meaning."""
    assert found.shape == expected.shape, f"{name}: {found.shape}, {expected.shape}"
    apart = (found - expected).abs()
    if name == "last_hidden_state":
        apart = apart[mask]
    if name.startswith("attentions."):
        apart = apart.transpose(1, 2)[mask]
    return apart.max().item() / (expected.abs().max().item() if name == "hidden_states" else 1.0)


def compare(geometry: str, titles: list[str], folder: pathlib.Path) -> float:
    model = draw(geometry, "Model", 20250601)
    model.set_attn_implementation("eager")
    checkpoint = folder / geometry
    model.save_pretrained(checkpoint)
    hidden = model.config.hidden_size
    head = {"classifier.weight": 0.02 * torch.randn(LABELS, hidden), "classifier.bias": torch.randn(LABELS)}
    worst = 0.0
    for name, runs in batches(titles, model.config.vocab_size).items():
        apart: dict[str, float] = {}
        for batch in runs:
            mask = batch["attention_mask"].bool()
            save_file(batch | head, folder / "batch.safetensors")
            example("outputs", checkpoint, folder / "batch.safetensors", folder / "result.safetensors", "--trunk")
            found, truth = load_file(folder / "result.safetensors"), compute(model, batch, head)
            assert found.keys() == truth.keys(), found.keys() ^ truth.keys()
            for key, expected in truth.items():
                kind = "attentions" if key.startswith("attentions.") else key
                apart[kind] = max(apart.get(kind, 0.0), difference(key, found[key], expected, mask))
            for pooling in ("native", "native-mean"):
                written = folder / f"{geometry}-{pooling}"
                written.mkdir(exist_ok=True)
                example("native_model", checkpoint, folder / "batch.safetensors", pooling, str(LABELS), written)
                classifier = AutoModelForSequenceClassification.from_pretrained(written, attn_implementation="eager")
                inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
                with torch.no_grad():
                    expected = classifier.eval()(**inputs).logits
                logits = load_file(written / "logits.safetensors")["logits"]
                apart[pooling] = max(apart.get(pooling, 0.0), (logits - expected).abs().max().item())
        print(f"{geometry}, {name}: " + ", ".join(f"{kind} {most:.1e}" for kind, most in apart.items()), flush=True)
        worst = max(worst, *apart.values())
    return worst


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build()
    transformers.utils.logging.disable_progress_bar()
    titles = [title for _, title in read_titles(pathlib.Path(sys.argv[1]))]
    with tempfile.TemporaryDirectory() as folder:
        worst = [compare(name, titles, pathlib.Path(folder)) for name in sys.argv[2:] or ["modernbert-ja-30m"]]
    if not max(worst) <= TOLERANCE:
        sys.exit(f"differs by {max(worst)}, more than {TOLERANCE}")


if __name__ == "__main__":
    main()
