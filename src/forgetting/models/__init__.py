"""What is trained: flows, generators and classifiers, all on images in [0, 1]."""
