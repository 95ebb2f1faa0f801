"""Ways to hand a notification to its receiver, one module per family of schemes."""
