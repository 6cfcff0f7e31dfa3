"""Write a randomly initialised encoder of a published size, as transformers saves it.

    python random_encoder.py GEOMETRY FOLDER [--seed 0] [--model]

GEOMETRY is a name of GEOMETRIES. FOLDER becomes a checkpoint (config.json, model.safetensors) of the masked language model
that the publisher has, or with --model of the encoder alone, whose tensors have no prefix, as ruri-v3 is published. It has
no tokenizer. Biases and norms are moved away from 0 and 1, and queries and keys are larger than freshly drawn ones:
otherwise all attention is almost even, which hides mistakes and is not what a trained model computes.

Needs Python 3.11 with: torch 2.15, transformers 5.24.
"""

import argparse
import pathlib

import torch
import transformers
from torch import nn

# modernbert-ja of SB Intuitions (2025), which ruri-v3 shares.
MODERNBERT_JA = {
    "attention_bias": False,
    "bos_token_id": 1,
    "classifier_pooling": "cls",
    "cls_token_id": 6,
    "eos_token_id": 2,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "hidden_activation": "gelu",
    "local_attention": 128,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "norm_bias": False,
    "norm_eps": 1e-5,
    "pad_token_id": 3,
    "sep_token_id": 4,
    "vocab_size": 102400,
}


def modernbert_ja(hidden: int, layers: int, heads: int, inner: int) -> tuple[str, dict]:
    sizes = {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
    }
    return "ModernBert", MODERNBERT_JA | sizes


# The prefix of the classes in transformers, and the configuration.
GEOMETRIES = {
    "modernbert-ja-30m": modernbert_ja(256, 10, 4, 1024),
    "modernbert-ja-70m": modernbert_ja(384, 13, 6, 1536),
    "modernbert-ja-130m": modernbert_ja(512, 19, 8, 2048),
    "modernbert-ja-310m": modernbert_ja(768, 25, 12, 3072),
}
# Parts of the names of queries and keys, and their factor.
SHARPER = {"Wqkv": 3.0, "query": 4.0, "key": 4.0}


def draw(geometry: str, kind: str, seed: int) -> nn.Module:
    """A model of the geometry of the class whose name ends with `kind`, such as Model or ForMaskedLM."""
    prefix, settings = GEOMETRIES[geometry]
    torch.manual_seed(seed)
    model = getattr(transformers, f"{prefix}{kind}")(getattr(transformers, f"{prefix}Config")(**settings))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
        for part, factor in SHARPER.items():
            if part in name and parameter.dim() == 2:
                parameter.data *= factor
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("geometry", choices=GEOMETRIES)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", action="store_true", help="the encoder alone")
    arguments = parser.parse_args()
    model = draw(arguments.geometry, "Model" if arguments.model else "ForMaskedLM", arguments.seed)
    model.save_pretrained(arguments.folder)
    print(f"{arguments.folder}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
