"""The leaderboard of many runs: one page and tables, a row for each model, with the paired tests that rank them.

In: scored runs and their answers. Out: index.html, leaderboard.csv, .md, .tex and .json in one folder.
"""
