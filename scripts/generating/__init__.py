"""What is made from the tables: man pages, completions, configuration file, tables of pages."""
