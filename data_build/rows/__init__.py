"""From a corpus's rows to records: shards on disk, splits and choices, words, quarantine, and the files of a subset."""
