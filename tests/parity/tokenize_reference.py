"""Ids that transformers gives to the lines on standard input, one line of ids for each.

    python tokenize_reference.py CHECKPOINT < texts.txt > expected.txt
    python tokenize_reference.py CHECKPOINT --json < texts.jsonl > expected.txt

With --json every line is a JSON string, which can hold line feeds and control characters: so the crate's fixtures,
`crates/tokenizer/tests/fixtures`, are made.

Needs Python 3.11 with: transformers 5.23, fugashi 1.5, ipadic 1.0 (and unidic-lite 1.0 for checkpoints that name it).
The MeCab dictionary must be named in tokenizer_config.json: transformers 5 otherwise takes unidic_lite, silently.
A checkpoint with tokenizer.json and no vocab.txt is read by the `tokenizers` library, as transformers does.
"""

import json
import pathlib
import sys

MAX_LENGTH = 512


def load(checkpoint: pathlib.Path):
    """The checkpoint's tokenizer, as a function from a text to its ids."""
    if (checkpoint / "vocab.txt").exists():
        from transformers import BertJapaneseTokenizer

        settings = json.loads((checkpoint / "tokenizer_config.json").read_text(encoding="utf-8"))
        uses_mecab = settings.get("word_tokenizer_type") == "mecab"
        if uses_mecab and not (settings.get("mecab_kwargs") or {}).get("mecab_dic"):
            sys.exit(f"{checkpoint}/tokenizer_config.json: name the dictionary in mecab_kwargs.mecab_dic")
        tokenizer = BertJapaneseTokenizer.from_pretrained(checkpoint)
        return lambda text: tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"]

    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
    return lambda text: tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"]


def main() -> None:
    encode = load(pathlib.Path(sys.argv[1]))
    # Bytes, so that only a line feed ends a line.
    texts = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").split("\n")
    if "--json" in sys.argv[2:]:
        texts = map(json.loads, texts)
    for text in texts:
        print(*encode(text))


if __name__ == "__main__":
    main()
