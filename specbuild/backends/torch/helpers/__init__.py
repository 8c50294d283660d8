"""Classes and functions that are copied into an emitted file that uses them. Nothing imports these modules."""
