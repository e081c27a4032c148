"""Steps of gradient descent: their time, how it grows, and what monitors add."""
