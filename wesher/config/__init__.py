"""What wesher was told: the table of options, and the configuration made of them."""
