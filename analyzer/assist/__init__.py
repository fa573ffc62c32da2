"""What editors and assistants are told of a project's models, and the servers that tell it. Models are read
in processes of their own, so that no model ends or stops a server.
"""
