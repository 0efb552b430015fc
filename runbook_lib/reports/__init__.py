"""Reports for people: one run as HTML, an incident's post-mortem as Markdown and HTML. All from files; asks nobody."""
