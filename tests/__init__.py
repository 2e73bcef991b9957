"""The tests mirror the three packages. What several of them start from stands beside them, once:

conftest.py      the base model nano
command.py       the three commands as a user types them
data_files.py    a DATA folder by hand
media_files.py   clips and pictures, broken ones too
loopback.py      HTTP servers on this machine
look_alike.py    a base that only looks like one, for plans
*/conftest.py    the samples and a build of them; a base to train; a model that looks, and a report of two runs
eval/counting.py, eval/made_runs.py, eval/report_runs.py, eval/tiny_tests.py, mmafflm/tiny_data.py
                 an engine without a model; made-up records, runs and training data
"""
