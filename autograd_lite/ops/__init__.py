"""The operations. One file per family; forward and backward of each stand side by side."""
