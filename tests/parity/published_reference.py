"""Numbers of tensors and parameters of published encoders, from transformers.

    python published_reference.py

Writes `tensors` and `parameters` of every encoder in `tests/fixtures/published.json` that Midashi does not refuse for
its configuration: those of transformers' model with the published configuration, without the pooler, without LUKE's
entities, and without the rows of position embeddings that no token uses. The models are on torch's `meta` device,
which has no memory, so the largest takes no time either. `tests/published` compares the numbers with Midashi's.

Needs Python 3.11 with: torch 2.15, transformers 5.24.
"""

import json
import pathlib

import torch
from transformers import AutoConfig, AutoModel

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "fixtures/published.json"
# Positions count from the padding's id on (RoBERTa and its derivatives).
FROM_PADDING = {"roberta", "xlm-roberta", "luke"}


def is_left_out(name: str) -> bool:
    """Whether Midashi does not read the tensor: the pooler, and what only entities use."""
    entities = ["entity_", "w2e_query", "e2w_query", "e2e_query"]
    return name.startswith("pooler.") or any(part in name for part in entities)


def count(config: dict) -> tuple[int, int]:
    """Numbers of tensors and of their elements."""
    keys = {key: value for key, value in config.items() if key not in ("model_type", "tokenizer_class")}
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(config["model_type"], **keys))
    tensors = {name: tensor for name, tensor in model.named_parameters() if not is_left_out(name)}
    elements = sum(tensor.numel() for tensor in tensors.values())
    if config["model_type"] in FROM_PADDING:
        elements -= (config["pad_token_id"] + 1) * config["hidden_size"]
    return len(tensors), elements


def text(published: dict) -> str:
    """The fixture's JSON: a few lines for each encoder."""

    def dump(value) -> str:
        return json.dumps(value, ensure_ascii=False)

    about = ",\n".join(f"  {dump(line)}" for line in published["about"])
    tokenizers = ",\n".join(f"  {dump(name)}:\n   {dump(value)}" for name, value in published["tokenizers"].items())
    encoders = []
    for encoder in published["encoders"]:
        first = ", ".join(f"{dump(key)}: {dump(encoder[key])}" for key in ("id", "source"))
        rest = ", ".join(
            f"{dump(key)}: {dump(value)}" for key, value in encoder.items() if key not in ("id", "source", "config")
        )
        encoders.append(f'  {{{first},\n   "config": {dump(encoder["config"])},\n   {rest}}}')
    encoders = ",\n".join(encoders)
    return (
        f'{{\n "about": [\n{about}\n ],\n "tokenizers": {{\n{tokenizers}\n }},\n "encoders": [\n{encoders}\n ]\n}}\n'
    )


def main() -> None:
    published = json.loads(FIXTURE.read_text(encoding="utf-8"))
    for encoder in published["encoders"]:
        if not encoder.get("refused", [""])[0].startswith("config.json"):
            encoder["tensors"], encoder["parameters"] = count(encoder["config"])
    FIXTURE.write_text(text(published), encoding="utf-8")
    print(len(published["encoders"]), "encoders,", FIXTURE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
