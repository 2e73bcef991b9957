"""Small faults planted in the product, to see whether fast tests notice them."""
