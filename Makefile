# accelint: one command per habit. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup

.DEFAULT_GOAL := help
.PHONY: help setup runtimes consumers extension vscode exporters demo test lint types site fuzz guided bench conform releases numbers phases wild passes fix-lines repair clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(STAMP) ## Make .venv with everything that development needs, at pinned versions

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

ISOLATED := onnxruntime/openvino onnxruntime/webgpu litert/intel-npu

runtimes: $(STAMP) ## Build the environments of the runtimes that need one of their own; what cannot be built is skipped by the tests
	@for name in $(ISOLATED); do \
	  $(BIN)/accelint runtimes | grep -q "^$$name *ready" || $(BIN)/accelint runtimes add $$name || echo "$$name: not here, its tests are skipped"; \
	done

consumers: ## Install what reads report forms and builds the extension and is no Python package (npm); without it those tests are skipped
	@command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix tests/consumers || echo "no npm here: tests of Mermaid are skipped"
	@command -v npm >/dev/null && npm install --silent --no-audit --no-fund --no-package-lock --include=dev --prefix editors/vscode || echo "no npm here: tests of the VS Code extension are skipped"

extension: $(STAMP) consumers ## Build and package the VS Code extension: editors/vscode/dist/accelint.vsix (npm)
	mkdir -p editors/vscode/dist
	$(BIN)/accelint schema config > editors/vscode/dist/accelint.schema.json
	cd editors/vscode && npm run --silent bundle && npm run --silent package

vscode: $(STAMP) ## Bring VS Code as it runs in a browser (npm, 780 MB), in which a test runs the extension; without it that test is skipped
	@$(BIN)/python tools/dev/vscode_host.py

demo: $(STAMP) ## The tool's main job on real models: check, fix, verify
	$(BIN)/python fixtures/demo.py

exporters: $(STAMP) ## Build environments with PyTorch and JAX, from which tests export models, and with Model Explorer; without them those tests are skipped
	@$(BIN)/python tools/dev/exporters.py

test: $(STAMP) runtimes consumers ## Run the test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP) ## Lint and check the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check types strictly, in the package's installed layout
	$(BIN)/python tools/dev/types_tree.py .work/types
	MYPYPATH=.work/types $(BIN)/mypy --config-file pyproject.toml -p accelint

site: $(STAMP) ## Build the documentation as a site in .work/site/html; broken links and anchors are errors
	$(BIN)/python tools/docs/build_site.py

SECONDS ?= 60

fuzz: $(STAMP) ## Mutated models and packs of every format for SECONDS=60; what it finds is kept in .work/fuzz/faults
	$(BIN)/python tools/fuzz/run.py --seconds $(SECONDS)

FORMAT ?= onnx

guided: $(STAMP) ## The same for one FORMAT=onnx, guided by coverage; installs Atheris
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,fuzz]'
	$(BIN)/python tools/fuzz/guided.py $(FORMAT) $(SECONDS)

bench: $(STAMP) ## Print the figures of docs/benchmarks.md
	$(BIN)/python benchmarks/run.py --write docs/benchmarks.md

conform: $(STAMP) runtimes ## Measure every pack against its runtime; writes docs/conformance (hours on two cores the first time; answers are kept)
	$(BIN)/python tools/conformance/conform.py

releases: $(STAMP) ## Install releases of the runtimes beside the installed ones and compare each with TARGET@RELEASE; writes docs/conformance/releases.md
	$(BIN)/python tools/conformance/releases.py

wild: $(STAMP) runtimes ## Real models out of packages, as applications load them; writes docs/conformance/as_loaded.md (downloads 1 GB the first time)
	$(BIN)/python tools/conformance/wild.py fetch || true
	$(BIN)/python tools/conformance/wild.py ask
	$(BIN)/python tools/conformance/wild.py page

numbers: $(STAMP) runtimes ## What runtimes compute otherwise than the reference; writes docs/conformance/numbers.md (answers are kept)
	$(BIN)/python tools/conformance/wrong_numbers.py

phases: $(STAMP) runtimes ## Where models fail to load, compile or run, predicted and by the runtimes; writes docs/conformance/phases.md
	$(BIN)/python tools/conformance/phases.py

passes: $(STAMP) ## Compare the model of ONNX Runtime's first level with its own optimizer, over generated and random models
	$(BIN)/python tools/conformance/level1.py generated backend random

repair: $(STAMP) ## Fix every (model, target) pair that is not accelerated whole, over the models that are here; writes docs/repair.md
	$(BIN)/python tools/conformance/repair.py ask --open
	$(BIN)/python tools/conformance/repair.py page

fix-lines: $(STAMP) ## Follow the fix lines that check prints over the corpora that are here; writes docs/conformance/fix_lines.md
	$(BIN)/python tools/conformance/fix_lines.py --write docs/conformance/fix_lines.md

clean: ## Remove what the commands above made
	rm -rf $(VENV) .work build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
