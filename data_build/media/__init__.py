"""Each picture and clip is opened once and stored under the budget, by workers that may die. Its index says what was
stored.
"""
