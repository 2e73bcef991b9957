"""Open each picture and clip once and store it within the budget, in workers that may die. The index lists what was
stored.
"""
