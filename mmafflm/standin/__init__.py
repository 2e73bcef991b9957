"""Small base models, made on this machine: nano, micro and pocket, to run every step without a GPU or the hub."""
