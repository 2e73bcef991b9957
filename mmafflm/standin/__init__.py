"""Small base models, made on this machine: nano, micro and pocket, so that every step runs without a GPU or the model hub."""
