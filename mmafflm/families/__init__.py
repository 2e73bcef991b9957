"""All code for a single model family: one file (or folder) for each, and base.py, which defines a family's fields.

The rest of the project calls find.py to get the family of a base model and uses that object. README.md says how to add
a family.
"""
