"""Drills: the sandbox breaks for real, the notebooks investigate and mend, and the truth grades them."""
