# Midashi: fine-tune a Japanese BERT and see what it attends to. `make help` explains.

CONFIG ?= pipeline.toml
SET ?=
export MIDASHI_CONFIG := $(CONFIG)
export MIDASHI_SET := $(SET)

STAGES := fetch ingest tokenize train evaluate render
BIN := $(or $(CARGO_TARGET_DIR),target)/release
CACHE := cache

# Pinned: the numbers in the README were measured with these.
# The wheel is taken for one version of Python whatever this machine has: only its library is used.
ONNXRUNTIME := 1.31.1
IPADIC := 1.0.0

.DEFAULT_GOAL := help
.PHONY: help all demo test setup build clean $(STAGES)

help: ## This text
	@echo 'Midashi: headlines in, fine-tuned Japanese BERT and its attention out.'
	@echo
	@grep -hE '^[a-z][a-z $$()]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@printf '%-12s%s\n' $(foreach stage,$(STAGES),'$(stage)' 'one stage, if what it reads has changed')
	@echo
	@echo "CONFIG=other.toml   another configuration (now: $(CONFIG))"
	@echo "SET='section.key=value ...'   override single keys"

all: setup build ## Every stage of CONFIG, in order (the article's reproduction)
	@set -e; for stage in $(STAGES); do $(BIN)/midashi-$$stage; done

demo: ## Set-up, then every stage on the sample corpus: needs no download but packages
	@$(MAKE) --no-print-directory all CONFIG=data/sample.toml

$(STAGES): setup build
	@$(BIN)/midashi-$@

test: setup build ## Set-up, then format, lints and all tests
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	cargo test --release --workspace --locked

build: | need-cargo ## Compile the stages
	@cargo build --release --locked --bins

setup: $(CACHE)/onnxruntime/$(ONNXRUNTIME) $(CACHE)/ipadic/$(IPADIC) ## Bring ONNX Runtime and the IPADIC dictionary

# A library that is already installed is used as it is.
ifneq ($(ORT_DYLIB_PATH),)
$(CACHE)/onnxruntime/$(ONNXRUNTIME):
	@:
else
$(CACHE)/onnxruntime/$(ONNXRUNTIME):
	@echo 'setup: onnxruntime $(ONNXRUNTIME)'
	@$(call download,onnxruntime==$(ONNXRUNTIME) --only-binary=:all: --python-version 3.12)
	@cd $(@D).new && python3 -m zipfile -e *.whl wheel && mv wheel/onnxruntime/capi/*onnxruntime.* wheel/onnxruntime/LICENSE . \
	  && rm -rf wheel *.whl && touch $(ONNXRUNTIME)
	@$(call land)
endif

$(CACHE)/ipadic/$(IPADIC):
	@echo 'setup: ipadic $(IPADIC)'
	@$(call download,ipadic==$(IPADIC) --no-binary=ipadic)
	@cd $(@D).new && tar -xzf *.tar.gz && mv ipadic-*/ipadic/dicdir . && rm -rf ipadic-* && touch $(IPADIC)
	@$(call land)

# A package is unpacked beside its place and takes it whole, so that a break leaves nothing half-made.
download = command -v python3 >/dev/null || \
    { echo 'setup: python3 is missing; install Python 3.9 or later (used only to download two packages)' >&2; exit 2; }; \
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
