# The one door: `make up`, `make test`, `make down`. Bare `make` prints what there is.
# Everything a target needs is made by it: a virtual environment in .venv, and a cache outside the checkout
# ($TIDEGATE_CACHE, else $XDG_CACHE_HOME/tidegate, else ~/.cache/tidegate).

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Set in many images; each of the thousand processes that tests start would then compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up down ui test bench dedup soak docs pictures freeze format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(INSTALLED) ## a cluster with Airflow and pipelines that have run [CONTEXT= REGISTRY= AIRFLOW_CHART= CSV=]
	@$(BIN)/tidegate up $(if $(CONTEXT),--context '$(CONTEXT)') $(if $(REGISTRY),--registry '$(REGISTRY)') \
		$(if $(AIRFLOW_CHART),--airflow-chart '$(AIRFLOW_CHART)') $(if $(CSV),--csv '$(CSV)')

ui: $(INSTALLED) ## Airflow's web page on this machine's port 8080, until Ctrl-C
	@$(BIN)/tidegate ui

down: $(INSTALLED) ## remove all that `make up` made, except the cache
	@$(BIN)/tidegate down

test: $(INSTALLED) ## every rung of tests, or some [RUNGS="static jobs"]
	@$(BIN)/python tests/run.py $(RUNGS)

bench: $(INSTALLED) ## figures of the cluster that runs, an hour [NAMES="step_overhead --rounds 3"]
	@$(BIN)/python -m tests.bench.run $(NAMES)

dedup: $(INSTALLED) ## people de-duplication beside its peers, no cluster needed [SIZES="10_000 100_000"]
	@$(BIN)/uv pip install --quiet --requirement tests/bench/requirements.txt
	@$(BIN)/python -m tests.bench.dedup $(SIZES)

soak: $(INSTALLED) ## kills everything in the cluster that runs, one by one, an hour [CELLS="triggerer and running"]
	@$(BIN)/python -m pytest tests/soak/airflow_alone.py tests/soak/kills.py tests/soak/weather_faults.py tests/soak/lifecycle.py tests/soak/executors.py tests/soak/admission.py tests/soak/remote_logs.py -v --durations=5 $(if $(CELLS),-k '$(CELLS)')

# Called by skaffold.yaml, with what it needs in the environment: build, load, dags.
skaffold-%: $(INSTALLED)
	@$(BIN)/tidegate skaffold $*

format: $(INSTALLED) ## lay out and sort the Python files
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: $(INSTALLED) ## write the tables of README.md from the code
	@$(BIN)/python docs/generate.py

pictures: $(INSTALLED) ## take the pictures of docs/img in a real browser
	@PICTURES=docs/img $(BIN)/python -m pytest tests/browser -q

FREEZE = UV_CUSTOM_COMPILE_COMMAND='make freeze' $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url $(UPGRADE)

freeze: $(INSTALLED) ## pin every requirement anew, with hashes [UPGRADE=--upgrade]
	@$(FREEZE) pyproject.toml --group dev --universal --python-version 3.11 --output-file tests/requirements.txt
	@$(FREEZE) --group bench --constraint tests/requirements.txt --python-version 3.11 --output-file tests/bench/requirements.txt
	@# No annotations: equal requirements are equal files, whose layer the images share.
	@for file in images/*/requirements.txt images/standins/*/requirements.txt; do \
		group=$$(basename $$(dirname $$file)) && echo "$$group" && \
		$(FREEZE) --no-annotate --group $$group --constraint tests/requirements.txt --python-version 3.13 --output-file $$file || exit 1; \
	done

clean: ## remove what was built here (the cache and the cluster stay)
	@rm -rf build .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv takes the package index from pip's own settings, so a mirror is set in one place.
$(INSTALLED): tests/requirements.txt pyproject.toml
	@echo "> Python environment in .venv ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11; set PYTHON=" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "no venv module; apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@index=$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true); \
		if [ -n "$$index" ] && [ -z "$$UV_DEFAULT_INDEX" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
		$(BIN)/uv pip sync --quiet --python $(BIN)/python tests/requirements.txt && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
