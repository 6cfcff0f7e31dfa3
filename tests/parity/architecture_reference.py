"""Small models of BERT's family, and what transformers computes with them.

    python architecture_reference.py           writes the fixtures
    python architecture_reference.py --check   checks that each, written as a model/, is the same classifier to transformers

Writes ../fixtures/architectures/NAME/ for bert, roberta, xlm-roberta, camembert, luke, distilbert and electra:
  config.json, model.safetensors   what save_pretrained of a model with random weights makes of it
  reference.safetensors            in float64, rounded to float32 at the end:
    input_ids, attention_mask        [texts, tokens] int64, padded with the model's pad_token_id
    last_hidden_state                [texts, tokens, hidden]
    attentions.L                     [texts, heads, tokens, tokens] of layer L
    pooler_output                    [texts, hidden], where the model has a pooler
    head.NAME                        the tensors beside the encoder of the class for sequence classification
    logits                           [texts, 3] of that class
  model.json                       of the bert alone: how PyTorch prints it, and its numbers of parameters

They differ in the head beside the encoder, hence in prefixes and ignored tensors, in pad_token_id, activation and
layer_norm_eps. A model's outputs at padding are meaningless and differ between architectures.

--check runs the example `native_model`, which adds a head to a checkpoint with Midashi, linear or native, computes its
logits and writes both as transformers' class for sequence classification. AutoModelForSequenceClassification must
load every tensor and compute the same logits to 1e-5.

Needs Python 3.11 with: torch 2.15, transformers 5.23, safetensors 0.8, numpy 2.4; --check also cargo.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "fixtures" / "architectures"
# What all committed files may weigh together.
MAX_BYTES = 300_000
TOLERANCE = 1e-5
LABELS = 3

SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 11,
}
DISTILBERT_SIZES = {
    "vocab_size": 30,
    "dim": 16,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 24,
    "max_position_embeddings": 9,
}
# Class of the model and its configuration.
MODELS = {
    "bert": ("BertForPreTraining", SIZES | {"hidden_dropout_prob": 0.25}),
    "roberta": ("RobertaForMaskedLM", SIZES | {"layer_norm_eps": 1e-5}),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", SIZES | {"type_vocab_size": 1, "hidden_act": "relu"}),
    "camembert": ("CamembertModel", SIZES | {"pad_token_id": 0, "layer_norm_eps": 1e-3}),
    "distilbert": ("DistilBertForMaskedLM", DISTILBERT_SIZES | {"activation": "gelu_new"}),
    "electra": ("ElectraForPreTraining", SIZES | {"embedding_size": 16, "hidden_act": "gelu_pytorch_tanh"}),
    "luke": ("LukeModel", SIZES | {"entity_vocab_size": 3, "entity_emb_size": 4, "use_entity_aware_attention": True}),
}
# Text lengths: the longest unpadded and as long as a model with the fewest positions takes.
LENGTHS = [9, 4, 1]


def draw_weights(model: torch.nn.Module, random: np.random.Generator) -> None:
    """Weights that are float32 numbers and far from any symmetric start, padding's rows included."""
    for name, parameter in sorted(model.named_parameters()):
        noise = random.standard_normal(parameter.shape)
        if parameter.dim() == 1:
            noise = 0.1 * noise + (1 if "norm" in name.lower() and name.endswith("weight") else 0)
        else:
            noise = 0.3 * noise
        parameter.data = torch.from_numpy(noise.astype(np.float32))


def draw_batch(pad_token_id: int, random: np.random.Generator) -> dict[str, torch.Tensor]:
    attention_mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    input_ids = torch.from_numpy(random.integers(pad_token_id + 1, SIZES["vocab_size"], attention_mask.shape))
    return {"input_ids": input_ids.masked_fill(attention_mask == 0, pad_token_id), "attention_mask": attention_mask}


def compute(encoder: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    encoder.config._attn_implementation = "eager"
    with torch.no_grad():
        output = encoder.double().eval()(**batch, output_attentions=True)
    truth = {"last_hidden_state": output.last_hidden_state}
    truth |= {f"attentions.{layer}": attention for layer, attention in enumerate(output.attentions)}
    if getattr(output, "pooler_output", None) is not None:
        truth["pooler_output"] = output.pooler_output
    return {name: tensor.float().contiguous() for name, tensor in truth.items()}


def compute_head(name: str, encoder: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Head and logits of the class for sequence classification on the encoder; its weights are drawn apart."""
    config = encoder.config.__class__.from_dict(encoder.config.to_dict() | {"num_labels": LABELS})
    model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    draw_weights(model, np.random.default_rng(sum(map(ord, name))))
    model.base_model.load_state_dict(encoder.state_dict(), strict=False)
    model = model.double().eval()
    with torch.no_grad():
        truth = {"logits": model(**batch).logits}
    base = model.base_model_prefix + "."
    in_encoder = {base + key for key in encoder.state_dict() if not key.startswith("pooler.")}
    truth |= {f"head.{key}": value for key, value in model.state_dict().items() if key not in in_encoder}
    # The encoder's own pooler is in the checkpoint if the encoder has one.
    if hasattr(encoder, "pooler") and encoder.pooler is not None:
        truth = {key: value for key, value in truth.items() if not key.startswith(f"head.{base}pooler.")}
    return {name: tensor.float().contiguous() for name, tensor in truth.items()}


def numbers(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def write() -> None:
    random = np.random.default_rng(20240603)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, (model_class, settings) in MODELS.items():
        model_class = getattr(transformers, model_class)
        model = model_class(model_class.config_class(**settings))
        draw_weights(model, random)
        folder = FOLDER / name
        model.save_pretrained(folder)
        encoder = model.base_model
        if name == "bert":
            text = {
                "modules": str(encoder),
                "parameters": numbers(encoder),
                "parameters_of_last_layer": numbers(encoder.encoder.layer[-1]),
                "parameters_without_pooler": numbers(encoder) - numbers(encoder.pooler),
            }
            (folder / "model.json").write_text(json.dumps(text, indent=2) + "\n")
        batch = draw_batch(model.config.pad_token_id, random)
        save_file(batch | compute(encoder, batch) | compute_head(name, encoder, batch), folder / "reference.safetensors")
        print(f"{name}: {type(model).__name__}, {len(model.state_dict())} tensors")
    for path in FOLDER.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{FOLDER.name}: {size} bytes in all")
    if size > MAX_BYTES:
        sys.exit(f"{FOLDER.name} is larger than {MAX_BYTES} bytes")


def check() -> None:
    example = ["cargo", "run", "--release", "--quiet", "-p", "midashi-tests", "--example", "native_model", "--"]
    for name in MODELS:
        for head in ("linear", "native"):
            with tempfile.TemporaryDirectory() as written:
                batch_file = FOLDER / name / "reference.safetensors"
                subprocess.run([*example, FOLDER / name, batch_file, head, str(LABELS), written], cwd=ROOT, check=True)
                model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                    written, output_loading_info=True, dtype=torch.float32
                )
                found = load_file(f"{written}/logits.safetensors")["logits"]
            if unread := read_differently(report):
                sys.exit(f"{name}, {head}: {unread}")
            truth = load_file(batch_file)
            batch = {key: truth[key] for key in ("input_ids", "attention_mask")}
            with torch.no_grad():
                difference = (model.eval()(**batch).logits - found).abs().max()
            print(f"{name}, {head} head: {type(model).__name__}, logits differ by {difference:.1e}")
            if difference > TOLERANCE:
                sys.exit(f"{name}: more than {TOLERANCE}")


def read_differently(report: dict) -> list[str]:
    """Tensors that are missing or not known, apart from LUKE's of entities, which texts do not use."""
    names = {*report["missing_keys"], *report["unexpected_keys"]}
    return sorted(name for name in names if "entity" not in name and "2e_" not in name and "e2" not in name)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            write()
        case ["--check"]:
            check()
        case _:
            sys.exit(__doc__)
