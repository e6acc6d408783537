# The Forgetting Book. Every target makes .venv first where it is missing.
#
#   make book       execute the pages that need no data, and render _build/html
#   make test       all tests
#   make wheel      build the package into dist/
#   make render     render the pages as they are, without executing
#   make publish    execute everything with real data into book/runs and results
#   make validate   execute the published pages again and compare; continues where it stopped.
#                   NAMES="page page" chooses pages, SHARD=2/6 the second of six parts
#   make models     train every model of the zoo (hours; continues where it stopped)
#   make sweep      execute the missing runs of every sweep (hours; continues where it stopped)
#   make bench      compare speed with normflows, the public loop and the machine's limit, and count
#                   a training at the paper's size (an hour)
#   make bill       write the software bill: pinned packages, versions, licences
#   make notebooks  write the notebook (.ipynb) of every template
#   make contents   write the executed pages into the table of contents
#   make check      verify weights, notebooks, contents and published pages
#
# TORCH_INDEX names another package index for torch, e.g. one with CPU builds.

PYTHON ?= python3.11
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NAMES ?=
SHARD ?=

.PHONY: book test render publish sweep validate models bench bill notebooks contents check lint types wheel

book: $(READY)
	$(BIN)/forgetting book

test: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

types: $(READY)
	$(BIN)/mypy src/forgetting

wheel: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

lint: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

render: $(READY)
	$(BIN)/forgetting book --render-only

publish: $(READY)
	$(BIN)/forgetting publish

sweep: $(READY)
	$(BIN)/forgetting sweep --all

validate: $(READY)
	$(BIN)/forgetting validate $(if $(SHARD),--shard $(SHARD)) $(NAMES)

models: $(READY)
	$(BIN)/forgetting train --all

bench: $(READY)
	$(BIN)/python -W ignore benchmarks/glow.py
	$(BIN)/python -W ignore benchmarks/taming.py --to-the-rule
	$(BIN)/python -W ignore benchmarks/paper_size.py

bill: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt cyclonedx-bom
	$(BIN)/python benchmarks/bill.py

notebooks: $(READY)
	$(BIN)/forgetting notebooks

contents: $(READY)
	$(BIN)/forgetting contents

check: $(READY)
	$(BIN)/forgetting check

$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), which takes minutes: pip downloads PyTorch and all packages" \
	  "$(if $(TORCH_INDEX),(PyTorch from $(TORCH_INDEX)),(about 5.5 GB on Linux; less with TORCH_INDEX))"
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --no-deps \
	  --constraint constraints.txt --index-url $(TORCH_INDEX) torch torchvision)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@
