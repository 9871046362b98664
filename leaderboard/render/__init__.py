"""Tables and sections as Markdown, text, LaTeX, CSV, JSON and figures."""
