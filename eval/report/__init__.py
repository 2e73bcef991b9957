"""The report on scored runs: loads scores, answers and diagnosis, draws charts, chooses example rows, prints tables.

eval/report/report.py combines the parts into the HTML file.
"""
