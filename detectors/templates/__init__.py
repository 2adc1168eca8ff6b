"""Log lines by what their statements say: masked, grouped into templates, watched per window."""
