"""How features go together: what a reference knows of it, and what a window's rows say."""
