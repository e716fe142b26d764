"""One architecture a file. This file imports nothing."""
