"""Learning from decisions and their outcomes: plain functions over records, no database."""
