"""What a run means, its folder, and the loop that makes its pictures."""
