"""Kubernetes' quantities: `250m`, `64Mi`, `2`."""

SUFFIXES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def amount(text: str | float) -> float:
    """In cores, bytes, or pieces. Raises ValueError.

    >>> amount("250m"), amount("64Mi"), amount(2)
    (0.25, 67108864.0, 2.0)
    """
    text = str(text)
    number = text.rstrip("".join(SUFFIXES))
    return float(number) * SUFFIXES[text[len(number) :]]
