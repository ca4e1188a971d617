"""What the papers derive, measured without any edit."""
