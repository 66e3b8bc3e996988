"""What a run has come to: in a terminal, as JUnit's XML, as JSON, and as a page of HTML."""
