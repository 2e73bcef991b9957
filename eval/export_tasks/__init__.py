"""Exports the benchmark's tasks from a build to another evaluation harness, as a folder of task files.

The harness runs the model. The functions in the folder call eval/score, so lm-eval, lmms-eval and inspect print our
scores; VLMEvalKit only gets tables. `mmaffben score --import` turns a harness's log of answers into a run.
"""
