"""One file for each corpus: card, label names, reader, sizes, share of the mix, made-up samples. find.py finds them."""
