"""The tester for people without an account: few swaps, small and soon gone, where the operator allows it."""
