"""The leaderboard of many runs: a page and tables with a row for each model, and paired tests against the best model.

Input: scored runs and their answers. Output: index.html, leaderboard.csv, .md, .tex and .json in one folder.
"""
