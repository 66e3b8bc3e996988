"""Who may see what. No I/O."""
