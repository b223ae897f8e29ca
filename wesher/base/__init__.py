"""What every storey stands on: errors, problems in words, values. Imports nothing of wesher."""
