"""Photos that a machine invents, guided by what each makes the decoders' Python do: `make fuzz`."""
