# Everything on a fresh machine that has Python 3.11+ and make:
#   make demo    train, record and replay the article's experiment into demo/
#   make test    lint, types and tests
#   make durability    kill, cut off, fill up and alter runs; the figures go into docs/reliability.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint viewer format durability bench fuzz clean

demo: $(VENV)/.demo
	$(BIN)/netlapse demo demo

test: lint viewer
	-$(BIN)/python -m tests.browser
	KERAS_BACKEND=jax $(BIN)/pytest -n auto
	KERAS_BACKEND=torch $(BIN)/pytest -n auto tests/test_keras_recorder.py tests/test_keras_replay.py tests/test_keras_branching.py tests/test_keras_models.py tests/test_equivalence.py tests/test_deepreplay.py tests/test_diagrams.py

lint: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright

# The viewer's script is built anew, and must be what is committed. pip brings Node; where npm's registry cannot be reached, a test
# still compares the hash of the sources.
viewer: export PATH := $(abspath $(BIN)):$(PATH)
viewer: $(VENV)/.dev
	cd viewer && if npm ping; then npm ci --no-audit --no-fund && npm run check && npm test && npm run build; \
		else echo "npm's registry cannot be reached: the viewer is not built anew"; fi
	git diff --exit-code -- src/netlapse/view/static

format: $(VENV)/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

durability: $(VENV)/.dev
	$(BIN)/python -m tests.durability

# Seconds for each reader.
FUZZ ?= 150

fuzz: $(VENV)/.dev
	$(PIP) --editable '.[fuzz]'
	for target in segment manifest decompress probe; do \
		$(BIN)/python -m tests.fuzz.readers $$target -max_total_time=$(FUZZ) -timeout=10 -rss_limit_mb=2048 || exit 1; \
	done

bench: $(VENV)/.dev
	$(PIP) --editable '.[bench]'
	$(BIN)/python -m bench.recording
	$(BIN)/python -m bench.cnn
	$(BIN)/python -m bench.film
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.listing
	$(BIN)/python -m bench.store
	$(BIN)/python -m bench.overhead
	$(BIN)/python -m bench.faithfulness
	$(BIN)/python -m bench.label_noise
	$(BIN)/python -m bench.panels
	$(BIN)/python -m bench.study
	$(BIN)/python -m bench.ways
	$(BIN)/python -m bench.viewer
	$(BIN)/python -m bench.server

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("netlapse needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[keras]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .hypothesis
