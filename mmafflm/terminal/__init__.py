"""What all commands share at the terminal: messages, exit codes, interrupts, progress bars."""
