"""Small base models that are made on this machine, to run every step without a GPU or the Hugging Face Hub."""
