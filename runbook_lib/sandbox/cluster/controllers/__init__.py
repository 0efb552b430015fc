"""The controllers of our own cluster: each looks at what is wanted and what is there, and takes one step."""
