"""What the server does, whoever asks."""
