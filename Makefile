# Everything a developer needs, one word each. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST ?= $(BIN)/python -m pytest
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fmt type layers serve goldens docs bench lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## Run the whole job on a real shop in demo-shop/ and show the report
	@$(BIN)/mailwright demo demo-shop $(DEMO)

test: $(VENV)/.dev ## Install what the tests need and run them all, a file at a time on each core
	@sh tools/install-test-servers.sh
	$(PYTEST) -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: lint type layers ## Everything CI demands beside the tests

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: $(VENV)/.dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

layers: $(VENV)/.dev ## Import contracts
	$(BIN)/lint-imports

serve: $(VENV)/.demo ## Serve the demo again
	@$(BIN)/mailwright serve --project demo-shop

goldens: $(VENV)/.dev ## Rewrite the golden files; review the diff
	$(PYTEST) tests/golden --rewrite-goldens

docs: $(VENV)/.dev ## Rewrite the parts of the docs that are made from the code
	$(BIN)/python -m tools.reference

bench: $(VENV)/.dev ## Measure; prints rows and writes bench/results.json
	$(BIN)/python -m bench

lock: $(VENV)/.dev ## Pin all dependencies anew
	sh requirements/compile.sh --upgrade

clean: ## Remove the environment, caches and the demo
	rm -rf $(VENV) demo-shop build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.demo: requirements/demo.txt pyproject.toml package-lock.json
	@PYTHON="$(PYTHON)" sh tools/install.sh $(VENV) demo
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml package-lock.json
	@PYTHON="$(PYTHON)" sh tools/install.sh $(VENV) dev
	@touch $@ $(VENV)/.demo
