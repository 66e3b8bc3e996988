"""What any DICOMweb server can be held to, knowing nothing of it but its URL."""
