"""What is true of one model family only: one file (or folder) a family, and base.py, which says what each must know.

The rest of the project asks find.py for the family of a base model and uses that object. README.md says how to add a
family.
"""
