"""Paired tests of one run against another, and the table that shows them."""
