"""What MMAFFBen asks: subsets, tasks, prompts, label sets, and the grammar of each answer.

The YAML files in this folder are the paper's tables. The rest of the project reads them through benchmark.py.
"""
