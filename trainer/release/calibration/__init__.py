"""What a release's scores mean, measured with photos of products that training never saw.

`results` asks the release, `curves` turns scores into probabilities, `measures` says how far these
are off and which score leaves how many false matches, `fitting` joins them, `figure` draws it.
"""
