"""A run on one page: how well it finds, how it trained, where it fails, and whether it collapsed.

material       the run's files, and the photos where the catalogue is at hand
alarms         signs that training went wrong
recalls        beside baselines, by category, as served
curves         of training
similarities   of pairs of photos
failures       the hardest queries; confusions draws what is taken for what
map            the embeddings on a plane; spectrum finds the plane, and the effective rank
settings       of the experiment
page           all of these as sections
writing        the file
"""
