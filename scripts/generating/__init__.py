"""Man pages, completions, the commented configuration file and the README's table of options."""
