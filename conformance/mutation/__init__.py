"""Mutation testing of the suite: a proxy breaks one thing that our server does right, and the
checks that are there for it have to notice.

``python -m conformance.mutation`` runs every check with every mutation, writes the table of which
notices which, and fails if one notices none.
"""
