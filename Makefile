# Two commands: `make lab` to learn, `make test` to see that everything holds.
# Each sets up what it needs (a .venv with the package and its extras) once, and again
# only when pyproject.toml changes.

PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# JupyterLab refuses to run as root unless told; containers are root, people are not.
ROOT_FLAG = $(if $(filter 0,$(shell id -u 2>/dev/null)),--allow-root)
READY := .venv/.ready

.PHONY: help lab test run full bench gpu-check mutate save clean

help:
	@echo "make lab    open the lessons in JupyterLab"
	@echo "make test   ruff, types, unit tests, every notebook"
	@echo "make run    execute every lesson on its quick budget into build/"
	@echo "make full   the long tests, and every lesson on its full budget"
	@echo "make bench  measure speed, side by side"
	@echo "make gpu-check  fine-tune on a GPU for a few batches: a table"
	@echo "make mutate change one thing at a time, in code and in lessons: does a test see it? (long)"
	@echo "make save   execute the lessons and write them back into notebooks/"

$(READY): pyproject.toml
	@$(PYTHON) -c "import sys; v = sys.version.split()[0]; sys.exit(0 if sys.version_info >= (3, 11) else 'Python ' + v + ' is too old: the course needs 3.11 or newer. Try: make PYTHON=python3.12')"
	@echo "Setting up .venv (PyTorch is large: one to ten minutes, once) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@mkdir -p .venv/share/jupyter/lab/settings
	@cp binder/overrides.json .venv/share/jupyter/lab/settings  # no pop-up about Jupyter's news
	@echo ready > $(READY)

lab: $(READY)
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 $(ROOT_FLAG) notebooks/00_start_here.ipynb

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not alone"
	$(BIN)/python -m pytest -m alone

run: $(READY)
	$(BIN)/cnncourse run

full: $(READY)
	$(BIN)/python -m pytest -m full --override-ini="testpaths=tests"
	$(BIN)/cnncourse run --budget full --out build/full

bench: $(READY)
	$(BIN)/python tests/bench.py
	$(BIN)/python tests/bench_batch.py
	$(BIN)/python tests/bench_training.py
	$(BIN)/python tests/equality.py

gpu-check: $(READY)
	$(BIN)/python tests/gpu_check.py

mutate: $(READY)
	$(BIN)/python tests/mutate.py --jobs 2
	$(BIN)/python tests/mutate_notebooks.py

save: $(READY)
	$(BIN)/cnncourse save

clean:
	rm -rf build .venv
