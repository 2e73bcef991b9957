"""Starting and stopping LLaMA-Factory: the environment of its processes, their log, the reporters, and the changes that
their Pythons make when they start.
"""
