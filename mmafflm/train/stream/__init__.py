"""The order in which training reads the mix, and how a resumed run continues at the example where it stopped."""
