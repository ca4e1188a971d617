"""What editors on flows share: solvers of their differential equation, and features that one pass hands to another."""
