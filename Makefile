# The Forgetting Book. Every target makes .venv first where it is missing.
#
#   make book       execute the pages that need no data, and render _build/html
#   make test       all tests
#   make render     render the pages as they are, without executing
#   make publish    execute everything with real data into book/runs and results
#   make validate   execute the published pages again and compare (nbval)
#   make models     train every model of the zoo (hours; goes on where it stopped)
#   make sweep      every sweep's missing runs with real data (hours; goes on where it stopped)
#   make bench      speed beside normflows, the public code's loop and the machine's ceiling (an hour)
#   make notebooks  write the .ipynb twins of the templates
#   make check      verify weights, twins and published pages
#
# TORCH_INDEX names another package index for torch, e.g. one with CPU builds.

PYTHON ?= python3.11
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MODELS := digits-classifier-a digits-classifier-b digits-reference digits-vae digits-vae-seed-1 \
          digits-vae-seed-2 digits-vae-no-thick digits-vae-no-left-slant digits-gan \
          digits-gan-no-thick digits-gan-no-left-slant digits-glow digits-glow-affine \
          faces-classifier-a faces-classifier-b faces-reference faces-embedding faces-vae faces-vae-no-bangs \
          faces-gan faces-gan-no-bangs faces-glow faces-glow-no-bush faces-likelihoods
SWEEPS := unlearn_digits unlearn_bases unlearn_faces unlearn_ablations probe_features tame_people \
          tame_latents tame_ablations tame_targets

.PHONY: book test render publish sweep validate models bench notebooks check lint

book: $(READY)
	$(BIN)/forgetting book

test: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

render: $(READY)
	$(BIN)/forgetting book --render-only

publish: $(READY)
	$(BIN)/forgetting publish

sweep: $(READY)
	for name in $(SWEEPS); do $(BIN)/forgetting sweep $$name || exit 1; done

validate: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout 1200 book/runs

models: $(READY)
	for name in $(MODELS); do $(BIN)/forgetting train $$name || exit 1; done

bench: $(READY)
	$(BIN)/python -W ignore benchmarks/glow.py
	$(BIN)/python -W ignore benchmarks/taming.py --to-the-rule

notebooks: $(READY)
	$(BIN)/forgetting notebooks

check: $(READY)
	$(BIN)/forgetting check

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --no-deps \
	  --constraint constraints.txt --index-url $(TORCH_INDEX) torch torchvision)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[book,test]"
	touch $@
