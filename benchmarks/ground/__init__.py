"""What benchmarks of the record stand on: a server of their own, and studies that are finished without training."""
