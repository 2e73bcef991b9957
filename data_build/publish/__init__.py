"""Upload a build to the Hugging Face Hub, as far as the licences of its corpora allow."""
