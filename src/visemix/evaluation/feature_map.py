"""A map in the plane of what a recogniser's front-end makes of clips (AudioVSR, Fig. 2).

The paper does not say which features its t-SNE shows. Here: the front-end's output of the network
that was trained on the real clips alone, averaged over the frames of a clip.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from visemix.clips.shards import open_crops
from visemix.evaluation.features import front_end_features

MOST = 1000  # clips of each set that are shown: t-SNE of more takes long and shows no more


def feature_map(
    run_folder: str | Path,
    real_folder: str | Path,
    synthetic_folder: str | Path,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
    batch_size: int = 32,
) -> pd.DataFrame:
    """t-SNE of the features of real and synthetic clips together, at most MOST of each.

    Returns columns clip_id, label, role ('real' | 'synthetic'), x and y. Distances within a group
    of neighbours mean something, those between groups do not.
    """
    tables, means = [], []
    rng = np.random.default_rng(seed)
    for role, folder in (("real", real_folder), ("synthetic", synthetic_folder)):
        with open_crops(folder) as crops:
            rows = np.sort(rng.permutation(len(crops))[:MOST])
            tables.append(crops.index.iloc[rows][["clip_id", "label"]].assign(role=role))
            clips = list(crops.read(rows))
        found = front_end_features(run_folder, clips, device, threads, batch_size)
        means += [clip.mean(0) for clip in found]
    features = np.stack(means)
    features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    perplexity = min(30.0, (len(features) - 1) / 3)
    with threadpool_limits(threads):
        places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(features)
    return pd.concat(tables, ignore_index=True).assign(x=places[:, 0], y=places[:, 1])
