"""The whole mesh as its members tell it: who reaches whom, in words and as a picture. Pure."""
