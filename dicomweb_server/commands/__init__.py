"""What the command line does, apart from serving."""
