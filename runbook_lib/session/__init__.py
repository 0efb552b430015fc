"""What a notebook holds while it runs, inside its kernel."""
