"""Training and evaluation of CMAC. Nothing outside of this folder imports it."""
