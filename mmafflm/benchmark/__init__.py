"""MMAFFBen: its subsets, tasks, prompts and label sets, and the grammar of each answer.

The YAML and CSV files in this folder hold the benchmark's data. The rest of the project reads them through
benchmark.py.
"""
