"""The conformance statement, made of a template in words, the server's tables, and the suite.

``python -m conformance.statement`` writes conformance/STATEMENT.md anew; with ``--run`` the suite
is run before. A line of the template that is ``{{name}}`` becomes a table, and ``{{module.NAME}}``
within a line becomes the value of a constant of the server.
"""
