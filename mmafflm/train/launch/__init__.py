"""Starting LLaMA-Factory and ending it: the environment of its processes, their log, who reports, and what their
Pythons change at the start.
"""
