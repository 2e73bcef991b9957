"""What MMAFFBen asks: subsets, tasks, prompts, label sets, and the grammar of each answer. The YAML files beside the
code are the paper's tables; the rest of the project reads them through benchmark.py.
"""
