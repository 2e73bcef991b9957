"""The report on scored runs: load scores, answers and diagnosis, count, draw, choose example rows, print tables.

eval/report/report.py combines the parts into the HTML file.
"""
