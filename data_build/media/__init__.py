"""Open each picture and clip once and store it within the budget, in workers that may die. An index lists the stored
files.
"""
