"""The order in which the training mix is read, and how a resumed run continues at the example where it stopped."""
