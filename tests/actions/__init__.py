"""What a user is about to do: the table of states, rules, and files of rules."""
