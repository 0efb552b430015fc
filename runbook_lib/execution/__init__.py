"""Runs a notebook from outside its kernel, and writes down truthfully how it went."""
