"""The tests mirror the three packages. Helpers that several tests share are next to them:

conftest.py      the base model nano
command.py       the three commands as a user types them
data_files.py    a DATA folder written by hand
media_files.py   clips and pictures, also broken ones
loopback.py      HTTP servers on this machine
look_alike.py    a base without weights, for plans
*/conftest.py    the samples and a build of them; a base to train; a model that depends on its input, and a report of
                 two runs
eval/score/counting.py, eval/made_runs.py, eval/report/report_runs.py, eval/tiny_tests.py, mmafflm/tiny_data.py
                 an engine without a model; made-up records, runs and training data
"""
