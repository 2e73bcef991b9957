"""Upload to the Hugging Face Hub the part of a build that the licences of its corpora allow us to pass on."""
