"""Figures as ratios: what a thing costs against a reference that is measured in the same run."""
