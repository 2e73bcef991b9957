"""The rooms of the report: what it reads, counts, draws, picks and prints. eval/report/report.py puts them together."""
