"""One corpus a file: its card, label names, reader, sizes, share of the mix and made-up samples. find.py lists them."""
