"""Serves the fine-tuned model of a run with FastAPI and transformers, as the usual tutorial does, for comparisons of speed.

    python serve_peer.py artifacts/RUN [--port 8081] [--threads 2]

POST /predict has the request and the response of midashi-serve for one text: {"inputs": "text"} gives
[{"score": ..., "label": ...}, ...], the greatest first. Each request is one forward pass, on one of the threads that
FastAPI gives to handlers; nothing is batched. A load generator such as oha compares the two servers:

    oha -z 20s -c 64 -m POST -T application/json -d '{"inputs": "..."}' http://127.0.0.1:8081/predict

Start one server at a time, so that the other's threads do not wait for the same cores.

Needs Python 3.11 with: fastapi 0.165, uvicorn 0.54, torch 2.15, transformers 5.23; fugashi
and ipadic for a MeCab tokenizer.
"""

import argparse
import pathlib

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class Request(BaseModel):
    inputs: str


def server(model_folder: pathlib.Path) -> FastAPI:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForSequenceClassification.from_pretrained(model_folder).eval()
    labels = model.config.id2label
    app = FastAPI()

    @app.post("/predict")
    def predict(request: Request) -> list[dict]:
        encoded = tokenizer(request.inputs, truncation=True, max_length=128, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**encoded).logits[0].softmax(-1).tolist()
        named = [{"score": score, "label": labels[at]} for at, score in enumerate(scores)]
        return sorted(named, key=lambda item: -item["score"])

    return app


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("run", type=pathlib.Path, help="folder of a finished run")
    arguments.add_argument("--port", type=int, default=8081)
    arguments.add_argument("--threads", type=int, default=2)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    uvicorn.run(server(given.run / "model"), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
