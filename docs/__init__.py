"""The documentation: hand-written guides, pages read off the op table and the library, and what builds them."""
