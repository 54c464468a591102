"""What carries the local file to the server and back: at least once, in order, without gaps."""
