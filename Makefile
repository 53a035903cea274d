# `make serve` and `make test` need Python 3.11+ and nothing else; everything lands in .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: serve test test-browser lint types texts bench lock wheel clean

serve: $(STAMP)
	$(BIN)/mien serve

test: $(STAMP) lint types
	$(BIN)/pytest

# Needs Chromium, at /usr/bin/chromium or where MIEN_TEST_CHROMIUM says.
test-browser: $(STAMP)
	$(BIN)/pytest -m browser tests/browser

# The catalogues of the site's texts, after texts have changed.
texts: $(STAMP)
	$(BIN)/python tools/texts.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/service.py

wheel: $(STAMP)
	$(BIN)/python -m build --wheel

# Every version and hash, for all supported Pythons and systems, with no addresses in it.
lock: $(STAMP)
	$(BIN)/uv pip compile pyproject.toml --extra server --group dev --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		--upgrade --output-file requirements.lock

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(STAMP)

clean:
	rm -rf .venv build dist
