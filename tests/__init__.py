"""The tests mirror the three packages. Helpers that several tests share are next to them:

conftest.py      the samples, builds of them and the base model nano; the order of the files
shared.py        what is made once for all processes of the suite
forks.py         LLaMA-Factory imported once, and forks of it in place of its ranks
warm.py          the three commands as forks of the test process, for pages, `make` and experiments
command.py       the three commands as a user types them
data_files.py    a DATA folder written by hand
media_files.py   clips and pictures, also broken ones
loopback.py      HTTP servers on this machine
look_alike.py    a base without weights, for plans
*/conftest.py    small builds; a base and a mix to train on; a model that depends on its input, and a report of two runs
eval/score/counting.py, eval/made_runs.py, eval/report/report_runs.py, eval/tiny_tests.py, mmafflm/tiny_data.py
                 an engine without a model; made-up records, runs and training data
"""
