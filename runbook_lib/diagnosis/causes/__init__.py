"""One short file a cause; the folder is the catalogue."""
