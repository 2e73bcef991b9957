"""Starting and stopping LLaMA-Factory.

The environment of its processes, their log, the reporters, and the changes that their Pythons make at the start.
"""
