"""What is trained: flows, generators and judges, all on images in [0, 1]."""
