"""The command line: one file per noun, thin over HTTP.

What goes to standard output is data, what goes to standard error is for people. Exit status: 0 done,
1 failure, 2 wrong usage, 3 refused by a rule, 4 waiting for approval, 5 server unreachable.
"""
