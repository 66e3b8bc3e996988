"""Searches measured on databases of a hundred thousand to ten million studies.

They are filled with made studies whose sizes, names and dates are spread as those of a large
archive are, and whose rows are what the server would have stored.
"""
