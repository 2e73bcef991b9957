"""Small base models made on the spot: nano and pocket, so that every step runs without a GPU or the model hub."""
