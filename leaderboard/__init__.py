"""Records of trials and the tables made from them: files in, files out; needs neither torch nor our other packages."""
