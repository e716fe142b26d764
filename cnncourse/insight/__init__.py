"""Seeing inside a network, and breaking it: what it looks at, how it fails, how sure it is."""
