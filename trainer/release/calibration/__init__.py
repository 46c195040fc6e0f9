"""What a release's scores mean, measured with photos of products that training never saw.

What is told of a result is the probability that it is the photo's product, given its score and
whether it comes first, for customers half of whose photos show a product of the shop. One curve
for all places was 13 points off for first results of 384 unseen emoji; a curve of their own, 2.

`results` asks the release, `curves` turns scores into probabilities, `measures` says how far these
are off and which score leaves how many false matches, `fitting` joins them, `figure` draws it.
"""
