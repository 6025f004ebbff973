PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MODEL = saved_models/date_converter
RUN = runs/date_converter

.PHONY: demo serve install test test-backends test-thorough test-keras wheel site lint format clean

# Trains the date converter, exports it, and uses the export in a process of its own.
demo: $(VENV)/installed
	rm -rf $(RUN)
	$(BIN)/keras-attention train dates --run $(RUN)
	$(BIN)/keras-attention export $(RUN) $(MODEL)
	$(BIN)/keras-attention evaluate --model $(MODEL) $(RUN)/held_out.tsv
	$(BIN)/keras-attention convert --model $(MODEL) --log-prob "Tuesday, September 25, 1984" "3 May 1979" "2/10/93" "07, jan 2031"
	$(BIN)/keras-attention plot --model $(MODEL) "Tuesday, September 25, 1984" --output saved_models/date_converter.png

# Serves the reader of dates that comes with the package, and its page at http://localhost:8501/.
serve: $(VENV)/installed-serve
	$(BIN)/keras-attention serve

# What all tests need, in one go.
install: $(VENV)/installed-backends

# Everything, on TensorFlow.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto --dist loadgroup

# What needs nothing but Keras, on the other two of its backends: the laws, and Keras' own tests of its attention.
test-backends: $(VENV)/installed-backends
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n auto --dist loadgroup $(wildcard tests/laws tests/keras_suite)
	KERAS_BACKEND=torch $(BIN)/python -m pytest -n auto --dist loadgroup $(wildcard tests/laws tests/keras_suite)

# Every form under every law on the three backends, and what takes long: before a release.
test-thorough: $(VENV)/installed-backends
	$(BIN)/python -m pytest -n auto --dist loadgroup --thorough
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n auto --dist loadgroup --thorough tests/laws tests/keras_suite
	KERAS_BACKEND=torch $(BIN)/python -m pytest -n auto --dist loadgroup --thorough tests/laws tests/keras_suite

# Keras' own tests of MultiHeadAttention on ours, on its three backends.
test-keras: $(VENV)/installed-backends
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -q tests/keras_suite
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q tests/keras_suite
	KERAS_BACKEND=torch $(BIN)/python -m pytest -q tests/keras_suite

# Builds the package as it would be published, checks it, and tries it in an empty environment.
wheel: $(VENV)/installed
	rm -rf dist build
	$(BIN)/python -m pip install --quiet build twine
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install --quiet dist/*.whl
	build/empty/bin/python -c "import subprocess, time; run = ['build/empty/bin/keras-attention', '--help']; \
	    subprocess.run(run, capture_output=True); begin = time.perf_counter(); \
	    subprocess.run(run, check=True, capture_output=True); print(f'--help: {time.perf_counter() - begin:.2f} s')"
	build/empty/bin/keras-attention convert "2024년 3월 5일" "3 de mayo de 1979"

# The documentation as a site, in build/site; a broken link or name fails.
site: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info runs

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-serve: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[serve]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

$(VENV)/installed-backends: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test,backends]"
	touch $(VENV)/installed $(VENV)/installed-test $@

$(VENV)/installed-test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $(VENV)/installed $@
