"""What went wrong: errors with stable codes and places."""
