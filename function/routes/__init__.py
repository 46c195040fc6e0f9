"""What each address answers. Every module here gives its rules to `function.app`."""
