"""DICOM objects: PS3.3, PS3.4 matching, PS3.5, PS3.6, PS3.10. No I/O libraries here."""
