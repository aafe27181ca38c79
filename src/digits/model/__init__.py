"""The model: TensorFlow set up, architectures, .keras files and inference."""
