"""A soak: our server for hours under mixed load while Postgres, the disk, S3 and it itself fail.

Held to four things: while a fault lasts nothing but a refusal (503) or a cut connection is seen;
service is back by itself in bounded time; memory and descriptors do not grow; and at the end all
that was acknowledged is there, byte for byte, and nothing else.
"""
