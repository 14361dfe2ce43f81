# The same commands that CI runs. Everything installs into .venv, from this project's own files.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: help tune test lint format bench bench-linear bench-doctor clean

help:  ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

.venv/dev: .venv/base
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test,lint]"
	touch $@

.venv/bench: .venv/base
	$(BIN)/pip install --quiet -c constraints.txt -e ".[bench]"
	touch $@

.venv/bench-linear: .venv/base
	$(BIN)/pip install --quiet -c constraints.txt -e ".[bench-linear]"
	touch $@

# adelie wants numpy before 2, so it has an environment of its own
.venv-adelie/done: benchmarks/linear_adelie.txt
	$(PYTHON) -m venv .venv-adelie
	.venv-adelie/bin/pip install --quiet -r benchmarks/linear_adelie.txt
	touch $@

# what the doctor is compared with stays apart from what develops it
.venv-rivals/done: benchmarks/doctor/rivals.txt pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-rivals
	.venv-rivals/bin/pip install --quiet -c constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	.venv-rivals/bin/pip install --quiet -c constraints.txt -e . -r benchmarks/doctor/rivals.txt
	touch $@

tune: .venv/base  ## find a recipe for the embedded part of Fashion-MNIST
	$(BIN)/thalweg tune fashion-mnist

test: .venv/dev  ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS)

lint: .venv/dev  ## check style, types and the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .venv/dev  ## rewrite the code in the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/bench  ## compare with peers; writes benchmarks/results
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/plan_accuracy.py
	$(BIN)/python benchmarks/kill_and_resume.py
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/tune_vs_optuna.py
	$(BIN)/python benchmarks/time_to_score.py
	$(BIN)/python benchmarks/lr_study.py
	$(BIN)/python benchmarks/landscape.py
	$(BIN)/python benchmarks/recorder.py
	$(BIN)/python benchmarks/forks.py
	$(BIN)/python benchmarks/study_times.py

bench-linear: .venv/bench-linear .venv-adelie/done  ## compare penalised paths with peers; glmnet where Rscript has it
	$(BIN)/python benchmarks/linear.py

bench-doctor: .venv-rivals/done  ## compare the doctor with other tools that judge a training loop
	.venv-rivals/bin/python benchmarks/doctor/run.py --tools all --proof 0 \
		--out benchmarks/results/doctor_rivals.json --lines benchmarks/results/doctor_rivals.jsonl

clean:  ## remove the environment and caches
	rm -rf .venv .venv-adelie .venv-rivals .pytest_cache .ruff_cache .hypothesis .import_linter_cache
