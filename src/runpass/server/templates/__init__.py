"""Templates ("blueprints" on env0's wire): what a deployment runs, and which projects may run it."""
