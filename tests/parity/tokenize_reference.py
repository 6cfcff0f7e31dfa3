"""Ids that transformers gives to Japanese text: for the crate's fixtures, or against Midashi's on a whole corpus.

    python tokenize_reference.py CHECKPOINT < texts.txt > expected.txt
    python tokenize_reference.py CHECKPOINT --json < texts.jsonl > expected.txt
    python tokenize_reference.py CHECKPOINT --corpus CORPUS [--cache CACHE] [--texts titles]

The first two write one line of ids for each line of standard input, truncated to 512. With --json every line is a JSON
string, which can hold line feeds and control characters: so `crates/tokenizer/tests/fixtures` was made.

With --corpus every title and every non-empty line of a body in CORPUS (the livedoor news .tar.gz, or a folder of the
same layout), after NFKC and strip, goes through transformers and through `cargo run --example encode`, which finds
MeCab's dictionaries in CACHE (default: cache). The numbers of texts and differences are printed; the exit code is 1 if
there is a difference.

Needs Python 3.11 with: transformers 5.23, fugashi 1.5, ipadic 1.0 (and unidic-lite 1.0 for checkpoints that name it).
The MeCab dictionary must be named in tokenizer_config.json: transformers 5 otherwise takes unidic_lite, silently.
BertJapaneseTokenizer is taken where tokenizer_config.json names it or a word_tokenizer_type; other checkpoints'
tokenizer.json is read by the `tokenizers` library, as transformers does.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tarfile
import time
import unicodedata

MAX_LENGTH = 512
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def load(checkpoint: pathlib.Path):
    """The checkpoint's tokenizer: called with a text it gives `input_ids`."""
    from transformers import BertJapaneseTokenizer, PreTrainedTokenizerFast

    file = checkpoint / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    # The same rule as Midashi's (crates/tokenizer/src/settings.rs).
    if settings.get("tokenizer_class") != "BertJapaneseTokenizer" and settings.get("word_tokenizer_type") is None:
        return PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
    mecab = settings.get("mecab_kwargs") or {}
    named = mecab.get("mecab_dic") or mecab.get("mecab_option")
    if settings.get("word_tokenizer_type") == "mecab" and not named:
        sys.exit(f"{file}: name the dictionary in mecab_kwargs.mecab_dic")
    return BertJapaneseTokenizer.from_pretrained(checkpoint)


def articles(corpus: pathlib.Path):
    """Path and text of every article: a category's folder holds files named after it."""
    if corpus.is_dir():
        files = ((str(path.relative_to(corpus)), path.read_bytes()) for path in sorted(corpus.rglob("*.txt")))
    else:
        archive = tarfile.open(corpus)
        files = ((member.name, archive.extractfile(member).read()) for member in archive if member.isfile())
    for name, content in files:
        path = pathlib.PurePosixPath(name)
        if path.suffix == ".txt" and path.name.startswith(path.parent.name + "-"):
            yield content.decode("utf-8")


def texts_of(corpus: pathlib.Path):
    """Titles (the third line of an article) and non-empty lines of bodies, after NFKC and strip."""
    titles, bodies = [], []
    for article in articles(corpus):
        lines = [unicodedata.normalize("NFKC", line).strip() for line in article.split("\n")]
        titles.append(lines[2])
        bodies += filter(None, lines[3:])
    # What NFKC or strip leave of a line end inside a line would be a second line for the other side.
    assert not any("\n" in text for text in titles + bodies)
    return {"titles": titles, "bodies": bodies}


def midashi_ids(checkpoint: pathlib.Path, cache: pathlib.Path, texts: list[str]):
    """Midashi's ids of the texts."""
    command = ["cargo", "run", "--quiet", "--release", "--package", "midashi-tokenizer", "--example", "encode", "--"]
    command += [checkpoint.resolve(), cache.resolve()]
    lines = subprocess.run(command, cwd=REPOSITORY, input="\n".join(texts).encode(), stdout=subprocess.PIPE, check=True)
    return [[int(id) for id in line.split()] for line in lines.stdout.decode().splitlines()]


def compare(checkpoint: pathlib.Path, corpus: pathlib.Path, cache: pathlib.Path, kinds: list[str]) -> int:
    """Prints how many texts differ, with the first of them; returns their number."""
    tokenizer = load(checkpoint)
    all_texts, different = texts_of(corpus), 0
    for kind in kinds:
        texts = all_texts[kind]
        found = midashi_ids(checkpoint, cache, texts)
        start = time.perf_counter()
        expected = [tokenizer(text)["input_ids"] for text in texts]
        seconds = time.perf_counter() - start
        assert len(found) == len(expected)
        wrong = [at for at, ids in enumerate(expected) if ids != found[at]]
        tokens = sum(map(len, expected))
        print(f"{kind}: {len(texts)} texts, {tokens} ids, {len(wrong)} texts differ (transformers took {seconds:.1f} s)")
        for at in wrong[:3]:
            print(f"  {texts[at]!r}\n    expected {expected[at]}\n    found    {found[at]}")
        different += len(wrong)
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--json", action="store_true", help="lines of standard input are JSON strings")
    parser.add_argument("--corpus", type=pathlib.Path, help="compare Midashi on this corpus")
    parser.add_argument("--cache", type=pathlib.Path, default=REPOSITORY / "cache")
    parser.add_argument("--texts", choices=["titles", "bodies"], help="only these; default: both")
    arguments = parser.parse_args()
    if arguments.corpus:
        kinds = [arguments.texts] if arguments.texts else ["titles", "bodies"]
        sys.exit(1 if compare(arguments.checkpoint, arguments.corpus, arguments.cache, kinds) else 0)

    tokenizer = load(arguments.checkpoint)
    # Bytes, so that only a line feed ends a line.
    texts = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").split("\n")
    if arguments.json:
        texts = map(json.loads, texts)
    for text in texts:
        print(*tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"])


if __name__ == "__main__":
    main()
