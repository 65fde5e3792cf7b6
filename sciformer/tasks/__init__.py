"""What is hidden, asked and scored: one object per kind of question."""
