"""How late jobs start, ours and peers' side by side."""
