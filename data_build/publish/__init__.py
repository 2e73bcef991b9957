"""Sending a build to the hub, as far as the licences of its corpora allow."""
