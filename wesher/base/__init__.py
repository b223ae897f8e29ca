"""What every storey stands on: errors, problems in words, counters. Imports nothing of wesher."""
