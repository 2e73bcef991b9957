"""Turn a corpus's rows into records: shards on disk, choice and splits, words, quarantine, and a subset's files."""
