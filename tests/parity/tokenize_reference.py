"""Ids that transformers gives to Japanese text: for the crate's fixtures, or against Midashi's on a whole corpus.

    python tokenize_reference.py CHECKPOINT < texts.txt > expected.txt
    python tokenize_reference.py CHECKPOINT --json < texts.jsonl > expected.txt
    python tokenize_reference.py CHECKPOINT --pairs < pairs.jsonl > expected.txt
    python tokenize_reference.py CHECKPOINT --corpus CORPUS [--cache CACHE] [--texts titles]
    python tokenize_reference.py CHECKPOINT --corpus CORPUS --texts pairs [--max-length 256] [--every 14]

The first two write one line of ids for each line of standard input, truncated to 512. With --json every line is a JSON
string, which can hold line feeds and control characters: so `crates/tokenizer/tests/fixtures` was made. With --pairs
every line is a JSON list of two texts and a length, to which the second text is truncated; ids and token types are
written, with a tab between them.

With --corpus every title and every non-empty line of a body in CORPUS (the livedoor news .tar.gz, or a folder of the
same layout), after NFKC and strip, goes through transformers and through the example `encode`, which finds
MeCab's dictionaries in CACHE (default: cache). The numbers of texts and differences are printed; the exit code is 1 if
there is a difference. With --texts pairs the texts are the titles of every 14th article with their whole bodies as they
are, line feeds included, truncated to --max-length tokens, and ids and token types are compared.

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


def pairs_of(corpus: pathlib.Path, every: int, max_length: int):
    """Title, body and length for every so manieth article."""
    lines = [article.split("\n") for article in articles(corpus)][::every]
    return [(article[2].strip(), "\n".join(article[3:]).rstrip(), max_length) for article in lines]


def of_pair(tokenizer, first: str, second: str, max_length: int) -> tuple[list[int], list[int]]:
    """Ids and token types. In lists, since transformers takes an empty second text for none where it stands alone."""
    found = tokenizer(
        [first], [second], truncation="only_second", max_length=max_length, return_token_type_ids=True
    )
    return found["input_ids"][0], found["token_type_ids"][0]


def midashi_pairs(checkpoint: pathlib.Path, cache: pathlib.Path, pairs: list[tuple[str, str, int]]):
    """Midashi's ids and token types of the pairs."""
    command = ["cargo", "run", "--quiet", "--release", "-p", "midashi-tests", "--example", "encode_pairs"]
    command += ["--", checkpoint.resolve(), cache.resolve()]
    lines = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs).encode()
    lines = subprocess.run(command, cwd=REPOSITORY, input=lines, stdout=subprocess.PIPE, check=True).stdout
    columns = (line.split("\t") for line in lines.decode().splitlines())
    return [tuple([int(id) for id in column.split()] for column in line) for line in columns]


def compare_pairs(checkpoint: pathlib.Path, cache: pathlib.Path, pairs: list[tuple[str, str, int]]) -> int:
    """Prints how many pairs differ, with the first of them; returns their number."""
    tokenizer = load(checkpoint)
    found = midashi_pairs(checkpoint, cache, pairs)
    expected = [of_pair(tokenizer, *pair) for pair in pairs]
    assert len(found) == len(expected)
    wrong = [at for at, pair in enumerate(expected) if pair != found[at]]
    tokens, full = sum(len(ids) for ids, _ in expected), sum(len(ids) == pairs[0][2] for ids, _ in expected)
    second = sum(sum(types) for _, types in expected)
    print(f"pairs: {len(pairs)}, of which {full} are full; {tokens} ids, {second} of type 1; {len(wrong)} differ")
    for at in wrong[:3]:
        print(f"  {pairs[at][0]!r}\n    expected {expected[at]}\n    found    {found[at]}")
    return len(wrong)


def midashi_ids(checkpoint: pathlib.Path, cache: pathlib.Path, texts: list[str]):
    """Midashi's ids of the texts."""
    command = ["cargo", "run", "--quiet", "--release", "-p", "midashi-tests", "--example", "encode", "--"]
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
    parser.add_argument("--pairs", action="store_true", help="lines are JSON lists of two texts and a length")
    parser.add_argument("--texts", choices=["titles", "bodies", "pairs"], help="only these; default: titles, bodies")
    parser.add_argument("--max-length", type=int, default=256, help="tokens of a pair at most")
    parser.add_argument("--every", type=int, default=14, help="pairs of every so manieth article")
    arguments = parser.parse_args()
    if arguments.texts == "pairs":
        pairs = pairs_of(arguments.corpus, arguments.every, arguments.max_length)
        sys.exit(1 if compare_pairs(arguments.checkpoint, arguments.cache, pairs) else 0)
    if arguments.corpus:
        kinds = [arguments.texts] if arguments.texts else ["titles", "bodies"]
        sys.exit(1 if compare(arguments.checkpoint, arguments.corpus, arguments.cache, kinds) else 0)

    tokenizer = load(arguments.checkpoint)
    # Bytes, so that only a line feed ends a line.
    texts = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").split("\n")
    if arguments.pairs:
        for pair in map(json.loads, texts):
            print("\t".join(" ".join(map(str, numbers)) for numbers in of_pair(tokenizer, *pair)))
        return
    if arguments.json:
        texts = map(json.loads, texts)
    for text in texts:
        print(*tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"])


if __name__ == "__main__":
    main()
