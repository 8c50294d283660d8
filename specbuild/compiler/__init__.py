"""The pipeline from a document to an audited source file."""
