"""How many jobs a second, ours and peers' side by side."""
