"""Does a running function answer as the release that it should serve?"""
