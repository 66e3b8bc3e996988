"""The HTTP face: PS3.18 over Starlette."""
