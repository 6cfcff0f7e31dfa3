"""Builds the wheel: the package, midashi-predict, ONNX Runtime and a MeCab dictionary. `make wheel` runs it.

The wheel runs with every Python version, so only the platform is in its tag. On Linux that is the oldest glibc with which
the program and ONNX Runtime can be loaded (PEP 600), which is read from the versions of the symbols that they need.
They load no other library than those that PEP 600 allows.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
#: Files in a ZIP archive cannot be older than 1980. With one time for all, equal inputs give equal bytes.
TIME = "315532800"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="midashi-predict")
    parser.add_argument("--onnxruntime", type=Path, required=True, help="folder or shared library, beside its LICENSE")
    parser.add_argument("--dictionary", type=Path, required=True, help="folder of MeCab's, such as cache/ipadic")
    parser.add_argument("--out", type=Path, required=True, help="folder of the wheel")
    arguments = parser.parse_args()
    check_version()
    library = library_in(arguments.onnxruntime)
    with tempfile.TemporaryDirectory() as folder:
        package = stage(Path(folder), arguments.program, library, arguments.dictionary)
        tag = platform_tag([package / "bin" / arguments.program.name, library])
        build(Path(folder), tag, arguments.out)


def check_version() -> None:
    """The package and the program have one version."""
    versions = {}
    for file in (PROJECT / "Cargo.toml", HERE / "pyproject.toml"):
        versions[file.name] = re.findall(r'^version = "(.*)"', file.read_text(encoding="utf-8"), re.MULTILINE)[0]
    if len(set(versions.values())) > 1:
        sys.exit(f"error: versions differ: {versions}; write that of Cargo.toml into python/pyproject.toml")


def library_in(path: Path) -> Path:
    """ONNX Runtime's library, which must have its licence beside it."""
    if path.is_dir():
        found = sorted(path.glob("*onnxruntime.*"))
        if not found:
            sys.exit(f"error: {path}: found no ONNX Runtime; run `make setup`")
        path = found[-1]
    if not path.is_file():
        sys.exit(f"error: {path}: found no such file, expected ONNX Runtime's shared library")
    if not path.with_name("LICENSE").is_file():
        sys.exit(f"error: {path}: found no LICENSE beside it, which the wheel must have")
    return path


def stage(folder: Path, program: Path, library: Path, dictionary: Path) -> Path:
    """Copies everything to a folder. Returns that of the package."""
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(HERE / name, folder)
    shutil.copy(PROJECT / "LICENSE", folder)
    package = folder / "src" / "midashi"
    shutil.copytree(HERE / "src" / "midashi", package, ignore=shutil.ignore_patterns("__pycache__", "bin", "cache"))
    (package / "bin").mkdir()
    shutil.copy(program, package / "bin")
    # The names of functions and lines, which are three quarters of the file, are of use to a debugger only.
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-debug", package / "bin" / program.name], check=True)
    shutil.copy(library, package / "bin")
    shutil.copy(library.with_name("LICENSE"), package / "bin" / "LICENSE.onnxruntime")
    words = dictionary / "dicdir"
    if not (words / "COPYING").is_file():
        sys.exit(f"error: {words}: found no COPYING, expected a dictionary as `make setup` makes it")
    shutil.copytree(words, package / "cache" / dictionary.name / "dicdir")
    return package


def platform_tag(files: list[Path]) -> str:
    """The oldest platform that can load the files, as a wheel's tag names it."""
    if platform.system() != "Linux":
        return re.sub(r"[-.]", "_", sysconfig.get_platform())
    needed = [int(minor) for file in files for minor in re.findall(rb"GLIBC_2\.(\d+)[.\d]*\0", file.read_bytes())]
    return f"manylinux_2_{max(needed)}_{platform.machine()}"


def build(folder: Path, tag: str, out: Path) -> None:
    """Runs setuptools through pip, offline. The folder ``out`` may have wheels of other versions."""
    made = folder / "wheel"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", f"--config-settings=--build-option=--plat-name={tag}"]
    command += ["--wheel-dir", str(made), str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": TIME})
    [wheel] = made.glob(f"midashi-*-py3-none-{tag}.whl")
    out.mkdir(parents=True, exist_ok=True)
    wheel = Path(shutil.move(wheel, out / wheel.name))
    print(f"  {wheel}, {wheel.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
