# Midashi: fine-tune a Japanese BERT and see what it attends to. `make help` explains.

CONFIG ?= pipeline.toml
SET ?=
SWEEP ?=
export MIDASHI_CONFIG := $(CONFIG)
export MIDASHI_SET := $(SET)
export MIDASHI_SWEEP := $(SWEEP)

STAGES := fetch ingest tokenize train evaluate render
BIN := $(or $(CARGO_TARGET_DIR),target)/release
CACHE := cache
FUZZ ?= mecab settings pytorch safetensors config
FUZZ_SECONDS ?= 600

# Pinned: the numbers in the README were measured with these.
# The wheel is taken for one version of Python whatever this machine has: only its library is used.
ONNXRUNTIME := 1.31.1
# What the library opens of CUDA, in the major version it was built for; the driver (580 or later) is the
# machine's own.
CUDA := nvidia-cublas==13.10.0.20 nvidia-cuda-nvrtc==13.5.37 nvidia-cuda-runtime==13.5.37 \
  nvidia-cudnn-cu13==9.28.1.4 nvidia-curand==10.4.5.25
# Where `make setup` makes it possible to train: cpu or cuda (which can do both).
DEVICE ?= cpu
IPADIC := $(CACHE)/ipadic/1.0.0
UNIDIC_LITE := $(CACHE)/unidic-lite/1.0.8
# axe-core 4.12.1, which the report's accessibility is tested with, comes in this Python package.
AXE := $(CACHE)/axe/0.1.8
# The MeCab dictionary that `make setup` brings: ipadic or unidic-lite.
DICTIONARY ?= ipadic

.DEFAULT_GOAL := help
.PHONY: help all demo sweep test fuzz setup build clean $(STAGES)

help: ## This text
	@echo 'Midashi: headlines in, fine-tuned Japanese BERT and its attention out.'
	@echo
	@grep -hE '^[a-z][a-z $$()]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@printf '%-12s%s\n' $(foreach stage,$(STAGES),'$(stage)' 'one stage, if what it reads has changed')
	@echo
	@echo "$(BIN)/midashi-inspect CHECKPOINT --text '…'   what a checkpoint is and makes of a text"
	@echo "$(BIN)/midashi-render --text '…'   what the run's model makes of a text, and why"
	@echo
	@echo "CONFIG=other.toml   another configuration (now: $(CONFIG))"
	@echo "SET=\"section.key=value section.key='two words' ...\"   override single keys (docs/configuration.md)"
	@echo "DEVICE=cuda   ONNX Runtime with CUDA for setup (now: $(DEVICE))"
	@echo "DICTIONARY=unidic-lite   the MeCab dictionary for setup (now: $(DICTIONARY))"

all: setup build ## Every stage of CONFIG, in order (the article's reproduction)
	@set -e; for stage in $(STAGES); do $(BIN)/midashi-$$stage; done

demo: ## Set-up, then every stage on the sample corpus: needs no download but packages
	@$(MAKE) --no-print-directory all CONFIG=data/sample.toml

$(STAGES): setup build
	@$(BIN)/midashi-$@

sweep: setup build ## All combinations of SWEEP='section.key=value,value ...', their mean and spread
	@$(BIN)/midashi-sweep

test: setup $(IPADIC) $(UNIDIC_LITE) $(AXE) build ## Set-up, then format, lints and all tests
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	cargo test --release --workspace --locked

fuzz: | need-cargo ## Search for files that break a reader, FUZZ_SECONDS each; see tests/fuzz/README.md
	@set -e; cd tests/fuzz; for target in $(FUZZ); do mkdir -p corpus/$$target; \
	  cargo +nightly fuzz run --fuzz-dir . $$target corpus/$$target seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 -max_len=65536; done

build: | need-cargo ## Compile the stages
	@cargo build --release --locked --bins

setup: runtime dictionary ## Bring ONNX Runtime for DEVICE and the MeCab dictionary DICTIONARY

.PHONY: runtime
runtime: $(or $(and $(filter cpu,$(DEVICE)),$(CACHE)/onnxruntime/$(ONNXRUNTIME)), \
  $(and $(filter cuda,$(DEVICE)),$(CACHE)/onnxruntime/$(ONNXRUNTIME)-cuda),unknown-device)

.PHONY: unknown-device
unknown-device:
	@echo 'setup: found DEVICE=$(DEVICE), expected cpu or cuda' >&2; exit 2

# A library that is already installed is used as it is.
ifneq ($(ORT_DYLIB_PATH),)
$(CACHE)/onnxruntime/$(ONNXRUNTIME) $(CACHE)/onnxruntime/$(ONNXRUNTIME)-cuda:
	@:
else
$(CACHE)/onnxruntime/$(ONNXRUNTIME):
	@echo 'setup: onnxruntime $(ONNXRUNTIME)'
	@$(call download,onnxruntime==$(ONNXRUNTIME) --only-binary=:all: --python-version 3.12)
	@cd $(@D).new && python3 -m zipfile -e *.whl wheel && mv wheel/onnxruntime/capi/*onnxruntime.* wheel/onnxruntime/LICENSE . \
	  && rm -rf wheel *.whl && touch $(ONNXRUNTIME)
	@$(call land)

# All in one folder, and the same as without CUDA where that is not asked for.
$(CACHE)/onnxruntime/$(ONNXRUNTIME)-cuda:
	@echo 'setup: onnxruntime-gpu $(ONNXRUNTIME) and CUDA (1.4 GB to download, 2 GB unpacked)'
	@$(call download,onnxruntime-gpu==$(ONNXRUNTIME) $(CUDA) --only-binary=:all: --python-version 3.12)
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

# Source packages with a compiled dictionary, of which nothing else is kept.
$(IPADIC) $(UNIDIC_LITE):
	@echo 'setup: $(notdir $(@D)) $(@F)'
	@$(call download,$(notdir $(@D))==$(@F) --no-binary=$(notdir $(@D)))
	@cd $(@D).new && tar -xzf *.tar.gz && mv */*/dicdir . && rm -rf *-$(@F)* && touch $(@F)
	@$(call land)

$(AXE):
	@echo 'setup: axe-playwright-python $(@F), for tests'
	@$(call download,axe-playwright-python==$(@F) --only-binary=:all:)
	@cd $(@D).new && python3 -m zipfile -e *.whl wheel && mv wheel/axe_playwright_python/axe.min.js . \
	  && rm -rf wheel *.whl && touch $(@F)
	@$(call land)

# A package is unpacked beside its place and takes it whole, so that a break leaves nothing half-made.
download = command -v python3 >/dev/null || \
    { echo 'setup: python3 is missing; install Python 3.9 or later (used only to download packages)' >&2; exit 2; }; \
  python3 -m pip --version >/dev/null 2>&1 || \
    { echo 'setup: pip is missing; install it (Debian: apt-get install python3-pip)' >&2; exit 2; }; \
  rm -rf $(@D).new && mkdir -p $(@D).new && \
  { python3 -m pip download --quiet --no-cache-dir --disable-pip-version-check --no-deps --dest $(@D).new $(1) || \
    { echo "setup: could not download $(firstword $(1)); check the network, or pip's index settings" >&2; exit 2; }; }
land = rm -rf $(@D) && mv $(@D).new $(@D)

.PHONY: need-cargo
need-cargo:
	@command -v cargo >/dev/null || { echo 'setup: cargo is missing; install Rust 1.92 or later (https://rustup.rs)' >&2; exit 2; }

# Stages meet in files: they run one after the other, whatever -j says.
.NOTPARALLEL:

clean: ## Remove artifacts; downloads stay
	rm -rf artifacts
