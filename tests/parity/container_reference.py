"""One small BERT in every container that a checkpoint comes in.

    python container_reference.py

Writes ../fixtures/containers/: config.json and the same random numbers as
  model.safetensors                 the truth for all others; float32, names as in BertForMaskedLM
  sharded/                          safetensors in two shards with their index
  zip.bin                           torch.save of a module's state_dict(), with its _metadata
  zip_plain_float16.bin             without the prefix bert.
  legacy_gamma.bin                  the stream before PyTorch 1.6, LayerNorm.gamma and LayerNorm.beta
  legacy_bfloat16.bin               torch.nn.Parameter in place of tensors
  legacy_views.bin                  all tensors are views of one storage, matrices are transposed there
  zip_float64.bin                   word embeddings alone, of a kind that is refused
  zip_module_float16.bin            of torch.nn.DataParallel, which names all tensors module.…
  zip_state_dict_float16.bin        a training checkpoint: the names model.… inside {"state_dict": …}, beside other entries

All numbers are sixty-fourths below 2, which float16 and bfloat16 hold exactly. The files stand in for
pytorch_model.bin, under which name the tests copy them.

Needs Python 3.11 with: torch 2.15, transformers 5.23, safetensors 0.8.
"""

import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "containers"
# What all committed files may weigh together.
MAX_BYTES = 250_000

CONFIG = {
    "model_type": "bert",
    "vocab_size": 12,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 8,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
    "pad_token_id": 0,
}


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "sharded").mkdir(parents=True)
    (FOLDER / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")

    model = BertForMaskedLM(BertConfig(**CONFIG)).eval()
    generator = torch.Generator().manual_seed(20191101)
    for parameter in model.parameters():
        parameter.data = torch.randint(-127, 128, parameter.shape, generator=generator) / 64
    state = model.state_dict()
    truth = {name: tensor.clone() for name, tensor in state.items()}

    save_file(truth, FOLDER / "model.safetensors", {"format": "pt"})
    write_shards(truth)
    save("zip.bin", state)
    save("zip_plain_float16.bin", {plain(name): tensor.half() for name, tensor in truth.items()})
    save("legacy_gamma.bin", {old(name): tensor for name, tensor in truth.items()}, legacy=True)
    parameters = {name: torch.nn.Parameter(tensor.bfloat16()) for name, tensor in truth.items()}
    save("legacy_bfloat16.bin", parameters, legacy=True)
    save("legacy_views.bin", views(truth), legacy=True)
    embeddings = "bert.embeddings.word_embeddings.weight"
    save("zip_float64.bin", {embeddings: truth[embeddings].double()})

    halves = {name: tensor.half() for name, tensor in truth.items()}
    save("zip_module_float16.bin", {f"module.{name}": tensor for name, tensor in halves.items()})
    training = {
        "epoch": 3,
        "loss": 0.25,
        "best": None,
        "hyper_parameters": {"learning_rate": 1e-3, "freeze": True, "names": ["a", "b"]},
        "state_dict": {f"model.{name}": tensor for name, tensor in halves.items()},
        "optimizer_states": [],
    }
    save("zip_state_dict_float16.bin", training)

    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{FOLDER.name}: {len(truth)} tensors, {size} bytes in all")
    if size > MAX_BYTES:
        raise SystemExit(f"{FOLDER.name} is larger than {MAX_BYTES} bytes")


def save(name: str, state: dict[str, torch.Tensor], legacy: bool = False) -> None:
    torch.save(state, FOLDER / name, _use_new_zipfile_serialization=not legacy)


def write_shards(truth: dict[str, torch.Tensor]) -> None:
    names = sorted(truth)
    weight_map = {}
    for number, part in enumerate([names[::2], names[1::2]], 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        save_file({name: truth[name] for name in part}, FOLDER / "sharded" / shard, {"format": "pt"})
        weight_map |= dict.fromkeys(part, shard)
    total = sum(tensor.nbytes for tensor in truth.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    text = json.dumps(index, indent=2) + "\n"
    (FOLDER / "sharded" / "model.safetensors.index.json").write_text(text)


def plain(name: str) -> str:
    return name.removeprefix("bert.")


def old(name: str) -> str:
    """As in checkpoints converted from TensorFlow."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def views(truth: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    storage = torch.cat([tensor.t().flatten() for tensor in truth.values()])
    parts = storage.split([tensor.numel() for tensor in truth.values()])
    return {name: part.view(tensor.t().shape).t() for (name, tensor), part in zip(truth.items(), parts)}


if __name__ == "__main__":
    main()
